"""What the registry knows: datasets, rounds, leases, models. Frozen values, pure rules, errors."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import total_ordering
from uuid import UUID

from contracts.base import BlobRef, Credit, DatasetRef, RuleResult
from contracts.events import ModelFile
from contracts.standard import StandardScore

NOT_FINITE = "not-finite"
"""The rule of an attempt whose training diverged."""

LEASE_LOST = "lease-lost"
"""The rule of an attempt whose worker fell silent."""

OUTAGES = frozenset(
    {
        LEASE_LOST,
        *("disk-full", "device-failed", "software-mismatch", "job-lost", "cluster-away"),
        *("preset-unknown", "preset-mismatch", "parent-unusable"),
    }
)
"""Rules of attempts that say nothing of the datasets: the worker, its machine or the parent was the reason."""

DEEPMD = "deepmd-kit"
"""The key of its version in a manifest's `versions`."""

LATEST = "latest"
"""The alias that every publication moves, and from which the next round grows."""


class RegistryError(Exception):
    """Base of what callers can act on. The text is shown to them."""


class UnknownRound(RegistryError):
    """There is no round with that id."""


class UnknownModel(RegistryError):
    """There is no model with that version or alias."""


class UnknownDataset(RegistryError):
    """No such dataset has passed the metric."""


class NotInThisState(RegistryError):
    """What is asked for cannot be done now; the text says what must happen first."""


class StaleFence(RegistryError):
    """The caller no longer holds the round: a successor does, or the round has ended."""


class InvalidRequest(RegistryError):
    """What the caller sent is wrong in itself; repeating it does not help."""


class NotStored(RegistryError):
    """An object that the caller refers to is not in storage, or has other bytes."""


class DatasetState(StrEnum):
    """Where a dataset that passed the metric stands."""

    WAITING = "waiting"
    RESERVED = "reserved"
    """An inquiry holds it for one of its rounds."""
    TRAINING = "training"
    PUBLISHED = "published"
    WITHHELD = "withheld"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class RoundState(StrEnum):
    """WAITING and TRAINING are open; the others are ends."""

    WAITING = "waiting"
    TRAINING = "training"
    PUBLISHED = "published"
    WITHHELD = "withheld"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AliasMoveKind(StrEnum):
    """Why an alias points elsewhere."""

    PUBLICATION = "publication"
    MOVE = "move"
    ROLLBACK = "rollback"


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A model's number: a growth raises the minor, a new architecture or type of training the major."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Raises ValueError when `text` is not '<major>.<minor>'."""
        major, separator, minor = text.partition(".")
        if not (separator and all(part.isascii() and part.isdigit() for part in (major, minor))):
            raise ValueError(f"{text!r} is not a version like '1.0'")
        return cls(int(major), int(minor))

    @classmethod
    def after(cls, newest: str | None) -> "Version":
        """The number of a growth when `newest` is the highest number given so far; 1.0 for the first model."""
        if newest is None:
            return cls(1, 0)
        before = cls.parse(newest)
        return cls(before.major, before.minor + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    def __lt__(self, other: "Version") -> bool:
        return (self.major, self.minor) < (other.major, other.minor)


@dataclass(frozen=True, slots=True)
class Member:
    """A dataset of the pre-training database, or one that waits to join."""

    ref: DatasetRef
    credit: Credit
    arrival: int
    """Position in the order of arrival."""
    manifest: BlobRef
    """A DatasetManifest."""
    metric_report: BlobRef
    """A MetricReport."""
    train_frames: int
    nearest_branch: str | None
    energy_shift_ev: dict[str, float]
    traceparent: str | None
    state: DatasetState = DatasetState.WAITING
    reason: str | None = None
    relative_weight: float | None = None
    """Set by an operator in place of √train_frames."""
    content_sha256: str | None = None
    """None: it came before this was kept."""

    @property
    def withdrawn(self) -> bool:
        return self.state is DatasetState.WITHDRAWN


@dataclass(frozen=True, slots=True)
class WaitingList:
    """Who waits, in the order of arrival."""

    members: tuple[Member, ...]
    quiet_seconds: float
    """Since the newest arrival."""
    waited_seconds: float
    """Since the oldest arrival."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A fitting head in a round: the dataset that it learns, and how often it is drawn."""

    name: str
    member: Member
    is_new: bool
    weight: float
    """Sampling probability, 0..1; the branches of a round sum to 1."""
    left_out_frames: tuple[int, ...] = ()
    """Indices of training frames that are test frames of the standard dataset."""


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What to train. Old branches come first, in the parent's order."""

    round_id: UUID
    parent_version: str | None
    preset: str
    total_steps: int
    seed: int
    traceparent: str | None
    branches: tuple[Branch, ...]

    @property
    def new_branches(self) -> tuple[Branch, ...]:
        return tuple(branch for branch in self.branches if branch.is_new)


@dataclass(frozen=True, slots=True)
class Round:
    """A round as it stands, without its branches."""

    round_id: UUID
    sequence: int
    state: RoundState
    parent_version: str | None
    preset: str
    total_steps: int
    seed: int
    traceparent: str | None
    fence: int
    """Grows with every lease and so counts the attempts; only the newest may write."""
    worker: str | None
    failures: int
    """Attempts that were lost or failed; a lease that was handed back is not one."""
    outages: int
    """Those of the failures that say nothing of the datasets."""
    divergences: int
    """Attempts in which training itself went astray. A lower learning rate is tried once."""
    step: int
    reported_step: int | None
    """Last step that this attempt reported."""
    reason: str | None
    model_version: str | None
    planned_at: datetime
    ended_at: datetime | None
    held_up: str | None = None
    """What it waits for because no live worker can run it, as contributors were told."""

    @property
    def learning_rate_factor(self) -> float:
        """What the next attempt multiplies the preset's learning rate with."""
        return 0.5 if self.divergences else 1.0


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A training checkpoint in object storage."""

    blob: BlobRef
    step: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt has used since its lease. None: the hardware does not tell."""

    core_seconds: float
    gpu_seconds: float
    cpu_joules: float | None = None
    gpu_joules: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to train a round until it expires."""

    round: Round
    branches: tuple[Branch, ...]
    parent_manifest: BlobRef | None
    left_out_branches: tuple[str, ...]
    """Of the parent, in its order: their datasets were withdrawn."""
    resume_from: StoredCheckpoint | None
    ttl_seconds: float
    standard: BlobRef | None = None
    """A StandardDataset: no frame of it is trained on."""


@dataclass(frozen=True, slots=True)
class NoOffer:
    """No round for this worker now."""

    refusal: str = ""
    """Why the round that waits is not for it; empty when none waits."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat."""

    ttl_seconds: float
    cancelled: bool = False
    hand_back: bool = False
    """Growth is paused: save a checkpoint and leave."""


@dataclass(frozen=True, slots=True)
class ModelBranch:
    """A fitting head of a published model with its held-out errors."""

    branch: Branch
    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float


@dataclass(frozen=True, slots=True)
class Model:
    """A published version."""

    version: str
    parent_version: str | None
    round_id: UUID
    preset: str
    manifest: BlobRef
    """The full ModelManifest: for services of the platform, never for outsiders."""
    files: tuple[ModelFile, ...]
    """What anyone may download."""
    rules: tuple[RuleResult, ...]
    checks: tuple[RuleResult, ...]
    """What a fresh process found out about the files."""
    standard_score: float
    contributors: tuple[str, ...]
    branches: tuple[ModelBranch, ...]
    aliases: tuple[str, ...]
    published_at: datetime
    retired_at: datetime | None = None
    retired_reason: str | None = None
    withdrawn_ancestral_datasets: int = 0
    """Withdrawn datasets that trained an ancestor and not this version."""
    scores: tuple[StandardScore, ...] = ()
    """On versions of the standard dataset, newest first."""
    current_standard: int = 0
    """Number of the standard dataset's newest version; 0 before there is one."""
    deepmd_version: str | None = None
    """Of the deepmd-kit that trained it; none: it does not tell."""

    @property
    def withdrawn_datasets(self) -> int:
        """Datasets that trained this version and were withdrawn since."""
        return sum(one.branch.member.withdrawn for one in self.branches)


@dataclass(frozen=True, slots=True)
class AliasMove:
    """A row of an alias's history."""

    sequence: int
    alias: str
    version: str
    kind: AliasMoveKind
    reason: str
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """A line of the list of rounds."""

    round: Round
    new_datasets: int
    rules: tuple[RuleResult, ...]
    """What the policy found; empty before a candidate was judged."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a candidate."""

    published: bool
    version: str | None


def settled(round_: Round, fence: int) -> Decision | None:
    """The decision that this fence's candidate already got; none when it got none yet."""
    if round_.fence != fence or round_.state not in (RoundState.PUBLISHED, RoundState.WITHHELD):
        return None
    return Decision(round_.state is RoundState.PUBLISHED, round_.model_version)


def stale(round_: Round, fence: int) -> StaleFence:
    """Why a write with `fence` is refused, in words."""
    if round_.fence > fence:
        why = f"fence {fence} was superseded by {round_.fence}"
    elif round_.fence < fence:
        why = f"fence {fence} was never given out; the newest is {round_.fence}"
    elif round_.state is RoundState.WAITING:
        why = f"the lease with fence {fence} was lost or given back, and the round waits for a worker"
    else:
        why = f"the round has ended: {round_.state}"
    return StaleFence(f"round {round_.round_id}: {why}; drop this round and lease again")


def may_retry(
    failures: int,
    max_attempts: int,
    retryable: bool = True,
    divergences: int = 0,
    outages: int = 0,
    *,
    blames: bool = False,
) -> bool:
    """Whether a round is offered again after its `failures`-th failed attempt, `divergences` of which diverged.

    `blames`: its end would set datasets aside as the cause. Then `outages`, those of the failures that say nothing of
    the datasets, are counted apart.
    """
    worst = max(failures - outages, outages) if blames else failures
    return retryable and worst < max_attempts and divergences <= 1
