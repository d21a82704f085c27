"""What the registry knows of scorings: published models on the standard dataset. Frozen values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from contracts.base import BlobRef
from contracts.standard import StandardDataset, StandardScore


@dataclass(frozen=True, slots=True)
class Released:
    """A version of the standard dataset and where it lies in storage."""

    standard: StandardDataset
    content: BlobRef
    released_at: datetime
    private_branches: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scoring:
    """A model that is to be scored on a standard dataset. `worker`: of the lease, if one holds it."""

    version: str
    standard: int
    fence: int
    worker: str | None
    failures: int
    done: bool


@dataclass(frozen=True, slots=True)
class ScoringBranch:
    """Standard frames on which a model's error is wanted. `own`: its branch that learned the dataset, if it has one."""

    name: str
    own: str | None


@dataclass(frozen=True, slots=True)
class ScoringLease:
    """The right to score a model until it expires."""

    scoring: Scoring
    model_manifest: BlobRef
    standard: BlobRef
    branches: tuple[ScoringBranch, ...]
    ttl_seconds: float


class CoverageState(StrEnum):
    """How far a version is scored on the newest standard dataset."""

    SCORED = "scored"
    WAITING = "waiting"
    SCORING = "scoring"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Coverage:
    """A version and its score on the newest standard dataset that it was scored on."""

    version: str
    score: StandardScore | None
    leased: bool
    failures: int
    reason: str | None

    def state(self, newest: int, max_attempts: int) -> CoverageState:
        if self.score is not None and self.score.standard == newest:
            return CoverageState.SCORED
        if self.leased:
            return CoverageState.SCORING
        return CoverageState.FAILED if self.failures >= max_attempts else CoverageState.WAITING
