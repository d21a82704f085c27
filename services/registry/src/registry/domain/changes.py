"""What changed of versions and names, for those who watch."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChangeKind(StrEnum):
    """What happened."""

    PUBLISHED = "published"
    ALIASED = "aliased"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Change:
    """One change, at its place in the order of commits."""

    position: int
    kind: ChangeKind
    version: str
    alias: str | None
    previous_version: str | None
    reason: str | None
    at: datetime
