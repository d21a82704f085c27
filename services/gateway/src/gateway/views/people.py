"""What people see of their accounts and of what they choose from when they upload."""

from datetime import datetime
from uuid import UUID

from contracts.base import (
    Frozen,
)

from gateway.views.datasets import Scope


class PersonView(Frozen):
    id: UUID
    email: str
    name: str
    created: datetime
    language: str
    mail_when_done: bool


class StorageView(Frozen):
    """What an account has here, and how much it may have. `open`: not published; `stored`: archives of datasets."""

    open_uploads: int
    open_uploads_limit: int
    open_bytes: int
    stored_bytes: int
    used_bytes: int
    limit_bytes: int
    left_bytes: int


class TokenView(Frozen):
    """An API token as its owner sees it later; the token itself was shown once."""

    id: UUID
    name: str
    scopes: tuple[Scope, ...]
    created: datetime
    last_used: datetime | None
    expires: datetime | None
    expired: bool


class NewTokenView(Frozen):
    """The only time that a token is shown."""

    id: UUID
    token: str
    name: str
    scopes: tuple[Scope, ...]
    created: datetime
    expires: datetime | None


class ProgramSignInView(Frozen):
    """A program that waits to be signed in: `secret` is its own, `code` its user's. It asks at that interval."""

    secret: str
    code: str
    url: str
    url_with_code: str
    expires: datetime
    expires_seconds: int
    interval_seconds: float


class SessionView(Frozen):
    """A browser in which somebody is signed in."""

    id: UUID
    device: str
    created: datetime
    last_seen: datetime
    current: bool


class IdentityView(Frozen):
    """An account elsewhere that one can sign in with."""

    provider: str
    title: str
    subject: str
    created: datetime


class RegionView(Frozen):
    """Where archives may lie. `probe_url` answers with nothing, to measure how far away it is."""

    id: str
    title: str
    probe_url: str


class LicenceView(Frozen):
    id: str
    name: str
    short: str
    text_url: str


class AgreementView(Frozen):
    """`content` is Markdown."""

    version: str
    language: str
    sha256: str
    content: str


class OpenUploadView(Frozen):
    """An upload that its owner may resume or publish. Sizes in bytes."""

    id: UUID
    url: str
    filename: str
    size: int
    received: int
    created: datetime
    expires: datetime
    region: str | None = None
    part: bool = False
    """Begun to be joined with others: nothing is published from it alone."""
