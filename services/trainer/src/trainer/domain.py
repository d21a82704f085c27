"""What a worker knows of a round, and what can become of it."""

from dataclasses import dataclass
from uuid import UUID

from contracts.base import BlobRef, BranchError, DatasetRef


@dataclass(frozen=True, slots=True)
class LeasedBranch:
    """A branch of the round; `nearest` and the shift are for new ones, if the metric had a model to compare with."""

    name: str
    dataset: DatasetRef
    manifest: BlobRef
    metric_report: BlobRef | None
    is_new: bool
    nearest: str | None
    energy_shift_ev: dict[str, float]
    weight: float
    test_frames: tuple[int, ...] = ()
    """Indices of training frames that the registry found in the standard dataset."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored checkpoint and the number of steps that it holds."""

    blob: BlobRef
    step: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A round in this worker's hands, as long as it beats and its fence is the newest."""

    round_id: UUID
    fence: int
    attempt: int
    ttl_seconds: float
    preset: str
    total_steps: int
    seed: int
    parent_manifest: BlobRef | None
    parent_version: str | None
    branches: tuple[LeasedBranch, ...]
    left_out_branches: tuple[str, ...]
    """Of the parent: their datasets were withdrawn."""
    resume_from: Checkpoint | None
    traceparent: str | None
    learning_rate_factor: float = 1.0
    """Less than 1 after an attempt that diverged."""
    standard: BlobRef | None = None
    """A StandardDataset: none of its frames is trained on."""


@dataclass(frozen=True, slots=True)
class NoWork:
    """No round waits that this worker can run; ask again later."""

    retry_after_seconds: float
    refusal: str = ""
    """Why the round that waits is not for this worker; empty when none waits."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The registry's answer to a heartbeat."""

    ttl_seconds: float
    hand_back: bool
    """Growth is paused: save a checkpoint and give the round back."""


@dataclass(frozen=True, slots=True)
class Report:
    """How training goes, on held-out frames."""

    step: int
    learning_rate: float
    branches: tuple[BranchError, ...]
    frames_per_second: float
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The registry's answer to a candidate."""

    version: str | None
    published: bool


@dataclass(frozen=True, slots=True)
class StandardBranch:
    """A branch of the standard dataset; `own`: the model's branch that learned the dataset, if it has one."""

    name: str
    own: str | None


@dataclass(frozen=True, slots=True)
class ScoringLease:
    """A published model to score on the standard dataset, in this worker's hands as long as it beats."""

    version: str
    fence: int
    ttl_seconds: float
    model_manifest: BlobRef
    standard: BlobRef
    branches: tuple[StandardBranch, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt has used since its lease. None: the hardware does not tell."""

    core_seconds: float
    gpu_seconds: float
    cpu_joules: float | None
    gpu_joules: float | None


class LeaseLost(Exception):
    """A successor owns the round, or it was cancelled: drop everything, say nothing."""


class RegistryAway(Exception):
    """The registry does not answer: go on and try again."""


class RegistryRefused(Exception):
    """The registry does not accept what this worker says; trying again would not help."""
