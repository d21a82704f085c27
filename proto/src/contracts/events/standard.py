"""The standard dataset and how versions do on it. Nothing here names a dataset, private or not."""

from typing import ClassVar

from pydantic import Field

from contracts.base import BlobRef
from contracts.envelope import Event
from contracts.standard import StandardScore


class StandardReleased(Event):
    """The standard dataset has a new version: no frame of it is trained on, every version is scored on it."""

    nats_subject: ClassVar[str] = "potluck.standard.released"

    number: int = Field(ge=1)
    model_version: str = Field(description="the version whose publication made it")
    content: BlobRef = Field(description="a StandardDataset, for services of the platform")
    branches: int = Field(ge=1)
    frames: int = Field(ge=1)
    added_frames: int = Field(ge=0, description="that the version before did not have")
    removed_frames: int = Field(ge=0, description="that only the version before had")

    def about(self) -> str:
        return f"standard/{self.number}"


class ModelRescored(Event):
    """A version that was published earlier got its score on the current standard dataset."""

    nats_subject: ClassVar[str] = "potluck.model.rescored"

    version: str
    standard: StandardScore

    def about(self) -> str:
        return f"model/{self.version}"
