"""What happens to a round of training. The registry says it: a worker's word counts with its fence only."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts.base import BranchError, DatasetRef
from contracts.envelope import Event


class TrainingEvent(Event):
    """Facts about one round."""

    round_id: UUID

    def about(self) -> str:
        return f"round/{self.round_id}"


class TrainingQueued(TrainingEvent):
    """A round was planned; it waits for a worker."""

    nats_subject: ClassVar[str] = "potluck.training.queued"

    datasets: tuple[DatasetRef, ...] = Field(description="the new ones")
    branches: dict[str, str] = Field(description="str(DatasetRef) → branch, for the new ones")
    parent_version: str | None
    preset: str
    total_steps: int = Field(ge=1)


class TrainingHeldUp(TrainingEvent):
    """No live worker can run the round: it waits for a machine. The next TrainingStarted ends that."""

    nats_subject: ClassVar[str] = "potluck.training.held-up"

    attempt: int = Field(ge=1, description="the one that waits")
    reason: str = Field(description="what it waits for, in words, e.g. 'waits for a machine with a GPU of 40 GB'")


class TrainingStarted(TrainingEvent):
    """A worker holds the lease and trains (again, when `attempt` > 1)."""

    nats_subject: ClassVar[str] = "potluck.training.started"

    attempt: int = Field(ge=1)
    worker: str
    resumed_from_step: int = Field(ge=0)


class TrainingProgress(TrainingEvent):
    """Held-out accuracy while it trains."""

    nats_subject: ClassVar[str] = "potluck.training.progress"

    attempt: int = Field(ge=1)
    step: int = Field(ge=0)
    total_steps: int = Field(ge=1)
    learning_rate: float
    branches: tuple[BranchError, ...]
    frames_per_second: float = Field(ge=0)
    eta_seconds: float = Field(ge=0)


class TrainingFinished(TrainingEvent):
    """The candidate is stored and verified; the growth policy is next."""

    nats_subject: ClassVar[str] = "potluck.training.finished"

    attempt: int = Field(ge=1)
    branches: tuple[BranchError, ...]
    wall_seconds: float = Field(ge=0)


class TrainingReleased(TrainingEvent):
    """Some of the round's new datasets are no longer its business, whatever became of the round."""

    nats_subject: ClassVar[str] = "potluck.training.released"

    datasets: tuple[DatasetRef, ...]
    outcome: Literal["waits", "failed"] = Field(description="waits: for another round; failed: set aside for good")
    rule: Literal["cancelled", "rerun", "bisecting", "isolated"]
    reason: str = Field(description="for the contributor, in words")


class TrainingFailed(TrainingEvent):
    """An attempt ended without a candidate."""

    nats_subject: ClassVar[str] = "potluck.training.failed"

    attempt: int = Field(ge=1)
    rule: str = Field(description="stable id, e.g. 'lease-lost', 'not-finite', 'out-of-memory', 'cancelled'")
    reason: str
    will_retry: bool
