"""Somebody tries a version on a structure of their own: gateway → ingest (reads it) → metric (predicts) → gateway."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from contracts.base import BlobRef
from contracts.envelope import Event


class PredictionEvent(Event):
    """About one structure that somebody sent; it belongs to nobody's dataset and is deleted soon."""

    prediction_id: UUID

    def about(self) -> str:
        return f"prediction/{self.prediction_id}"


class PredictionRequested(PredictionEvent):
    """A structure as it was sent, in storage."""

    nats_subject: ClassVar[str] = "potluck.prediction.requested"

    text: BlobRef = Field(description="POSCAR, CIF, xyz or extended xyz; nobody has looked into it")
    model_version: str
    branches: tuple[str, ...] = Field(
        min_length=1, description="those that may answer: the one that was asked for, or all public ones"
    )


class PredictionStructureRead(PredictionEvent):
    """It is a structure that may be predicted."""

    nats_subject: ClassVar[str] = "potluck.prediction.structure-read"

    structure: BlobRef = Field(description="a PreviewStructure")
    model_version: str
    branches: tuple[str, ...]


class PredictionRefused(PredictionEvent):
    """It cannot be read, or may not be predicted."""

    nats_subject: ClassVar[str] = "potluck.prediction.refused"

    reason: str
    remedy: str


class PredictionFinished(PredictionEvent):
    """Predicted, or not: then why."""

    nats_subject: ClassVar[str] = "potluck.prediction.finished"

    result: BlobRef | None = Field(default=None, description="a StructurePrediction; none: see the reason")
    reason: str | None = None
    remedy: str | None = None
