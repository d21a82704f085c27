"""What everybody sees of the line and of the rounds."""

from datetime import datetime

from contracts.base import (
    Frozen,
)
from pydantic import Field

from gateway.views.datasets import RoundStage, State

PRIVATE_NAME = "a private contribution"


class QueueEntry(Frozen):
    """Somebody's contribution in a line; private ones of others have no name and no url.

    What is held up on our side has no position.
    """

    position: int | None
    name: str
    url: str | None
    state: State
    since: datetime
    held_up: bool
    eta_low_seconds: float | None = None
    eta_high_seconds: float | None = None


class QueueRound(Frozen):
    """A round that waits for a worker or trains."""

    state: RoundStage
    parent_version: str | None
    attempt: int
    worker: str | None
    step: int
    total_steps: int
    eta_seconds: float | None
    planned: datetime | None
    started: datetime | None = Field(default=None, description="of the attempt that trains")
    datasets: tuple[QueueEntry, ...]
    waits_for: str | None = Field(default=None, description="a machine that is not there, in words")


class QueueView(Frozen):
    """What is checked, what waits for training, what trains."""

    check: tuple[QueueEntry, ...]
    train: tuple[QueueEntry, ...]
    rounds: tuple[QueueRound, ...]
