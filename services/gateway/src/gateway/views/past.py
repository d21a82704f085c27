"""What a dataset's page tells of its versions and of what happened."""

from datetime import datetime
from typing import Literal

from contracts.base import (
    Frozen,
)

from gateway.views.datasets import Stage, State, Verdict


class VersionView(Frozen):
    """One version of a dataset, as its list of versions tells."""

    version: int
    url: str
    created: datetime
    private: bool
    size: int
    stage: Stage
    state: State
    verdict: Verdict | None
    frames: int | None


class Happening(Frozen):
    """Something that happened to a dataset. `detail`: a number or version that belongs to it."""

    at: datetime
    what: Literal[
        "uploaded",
        "read",
        "rejected",
        "checking",
        "passed",
        "covered",
        "not-sound",
        "queued",
        "trained",
        "made-public",
        "withdrawn",
    ]
    detail: str = ""


class ConsentView(Frozen):
    """Which text the contributor agreed to, for what, and when. For the owner alone."""

    act: Literal["publish", "make-public"]
    agreement: str
    language: str
    text_sha256: str
    agreed: datetime


class DatasetPast(Frozen):
    """Versions and activity newest first, models that were trained on it."""

    versions: tuple[VersionView, ...]
    activity: tuple[Happening, ...]
    models: tuple[str, ...] = ()
    consents: tuple[ConsentView, ...] = ()
