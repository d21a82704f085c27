"""What the registry signs with Ed25519: the exact bytes, the keys, receipts of contributions.

Canonical JSON: keys sorted, no spaces, UTF-8, numbers in their shortest form. Numbers of a signed document have at most
four decimals, so that this is the form of RFC 8785 too, whatever the language.
"""

import json
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.base import Frozen, Sha256

DECIMALS = 4


def canonical(document: Any) -> bytes:
    """The bytes that are signed, of parsed JSON."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def plain(value: Any) -> Any:
    """Parsed JSON with numbers of at most four decimals, whole ones without a point."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, float):
        short = round(value, DECIMALS)
        return int(short) if short.is_integer() else short
    return value


class Signature(Frozen):
    """Over bytes that the place where it stands names."""

    algorithm: Literal["Ed25519"] = "Ed25519"
    key_id: str = Field(description="of a SigningKey")
    value: str = Field(description="64 bytes as base64")


class SigningKey(Frozen):
    """A public key. It stays listed when another has taken over: what it signed stays valid."""

    key_id: str = Field(description="the first 16 hex digits of the SHA-256 of the 32 bytes")
    algorithm: Literal["Ed25519"] = "Ed25519"
    public_key: str = Field(description="32 bytes as base64")
    since: datetime
    until: datetime | None = Field(default=None, description="when another key took over; none: it signs now")


class SigningKeys(Frozen):
    """Written by the registry when it starts; the gateway answers with it at /.well-known/potluck-keys.json."""

    keys: tuple[SigningKey, ...] = Field(description="newest first")


class SignedFile(Frozen):
    """A file beside the one that it vouches for, e.g. 'manifest.json.sig' beside 'manifest.json'."""

    name: str
    sha256: Sha256
    size: int = Field(ge=0, description="bytes")
    signature: Signature = Field(description="over the file's bytes")


class Errors(Frozen):
    """RMSE on held-out frames."""

    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float


class BeforeAfter(Frozen):
    """`before` is none where nothing was known before, as in a first model."""

    before: Errors | None
    after: Errors


class Others(Frozen):
    """The branches that the model had before, this dataset's own left out; means are geometric."""

    branches: int = Field(ge=1)
    before: Errors
    after: Errors
    largest_force_rise_percent: float = Field(description="of the branch that lost most, or gained least")


class StandardChange(Frozen):
    """The score E on the standard dataset: 0 is DFT, 1 a composition-only baseline."""

    standard: int | None = Field(
        default=None, description="number of the standard dataset's version; none: all held-out frames"
    )
    before: float | None = Field(description="of the parent; none for a first model")
    after: float = Field(description="of the candidate, on the same branches; of a first model on all")


class Receipt(Frozen):
    """What a dataset did to the model in one round. Absent numbers were not told; none is made up."""

    kind: Literal["potluck-receipt/1"] = "potluck-receipt/1"
    dataset_id: UUID
    dataset_version: int = Field(ge=1)
    content_sha256: str | None = Field(description="of the dataset's frames; equal content, equal hash")
    round_id: UUID
    issued: str = Field(description="UTC, e.g. '2026-11-25T19:02:11Z'")
    outcome: Literal["published", "withheld"]
    failed_rules: tuple[str, ...] = Field(description="growth rules that did not hold; empty when published")
    model_version: str | None = Field(description="none: the candidate was withheld")
    parent_version: str | None = Field(description="none: the first model")
    branch: str
    role: Literal["new", "replayed"] = Field(description="new: joined with this round; replayed: known before")
    weight: float = Field(description="sampling probability in training, 0..1")
    own: BeforeAfter | None = Field(description="on its own held-out frames; before: zero-shot, or the parent")
    others: Others | None = Field(description="none: there were no other old branches")
    standard: StandardChange | None


class SignedReceipt(Frozen):
    """The signature is over `canonical(receipt)`."""

    receipt: Receipt
    signature: Signature

    def document(self) -> dict[str, Any]:
        """As it is stored and given out: the receipt's numbers are those that were signed."""
        return {"receipt": plain(self.receipt.model_dump(mode="json")), "signature": self.signature.model_dump()}
