"""What outsiders may hear. Nothing here tells of a private dataset more than that one contributed."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from contracts.artifacts import Cost, Hardware
from contracts.base import BlobRef, BranchError, DatasetRef, Frozen, RuleResult
from contracts.envelope import Event
from contracts.standard import StandardScore


class ModelFile(Frozen):
    """A file of a published model."""

    name: str
    blob: BlobRef
    kind: str = Field(
        description="'checkpoint' (.pt, every branch), 'frozen' (.pth, one branch), 'recipe', 'standard' (which frames "
        "it was scored on), 'manifest', 'signature'"
    )
    branch: str | None = None


class TrainedDataset(Frozen):
    """A row of the model page's table."""

    dataset: DatasetRef | None = Field(description="none for a private one")
    title: str | None = Field(description="none for a private one")
    authors: tuple[str, ...] = Field(description="empty for a private one")
    branch: str
    weight: float = Field(ge=0, description="sampling probability of the branch in training, 0..1")
    new: bool = Field(description="joined with this version")
    energy_rmse_mev_per_atom: float = Field(ge=0, description="held-out")
    force_rmse_mev_per_angstrom: float = Field(ge=0, description="held-out")


class ModelPublished(Event):
    """A new version: the model has grown."""

    nats_subject: ClassVar[str] = "potluck.model.published"

    version: str
    parent: str | None
    round_id: UUID
    datasets: tuple[TrainedDataset, ...]
    contributors: tuple[str, ...] = Field(description="authors of public datasets, in order of arrival")
    files: tuple[ModelFile, ...]
    branches: tuple[BranchError, ...]
    standard_score: float = Field(description="E of the standard dataset: 0 is DFT, 1 a composition-only baseline")
    standard: StandardScore | None = Field(
        default=None, description="`standard_score` with what it is made of; none when no standard dataset was made yet"
    )
    rules: tuple[RuleResult, ...]
    checks: tuple[RuleResult, ...] = Field(default=(), description="what a fresh process found out about the files")
    preset: str
    wall_seconds: float = Field(ge=0)
    seed: int | None = None
    steps: int | None = None
    versions: dict[str, str] = Field(default_factory=dict, description="programs that trained it")
    hardware: Hardware | None = None
    cost: Cost | None = Field(default=None, description="of the whole round")

    def about(self) -> str:
        return f"model/{self.version}"


class ModelRetired(Event):
    """A version is no longer offered: no alias points to it; by its number it can still be read."""

    nats_subject: ClassVar[str] = "potluck.model.retired"

    version: str
    reason: str

    def about(self) -> str:
        return f"model/{self.version}"


class ModelAliased(Event):
    """A name points to another version from now on: it was published, or an operator moved or rolled it back."""

    nats_subject: ClassVar[str] = "potluck.model.aliased"

    alias: str = Field(description="e.g. 'latest', 'stable'")
    version: str
    previous: str | None = Field(default=None, description="where it pointed before; none: the name is new")
    reason: str = ""

    def about(self) -> str:
        return f"model/{self.version}"


class ModelMarked(Event):
    """Datasets that trained a version were withdrawn since. The numbers are all of them, not only the latest."""

    nats_subject: ClassVar[str] = "potluck.model.marked"

    version: str
    withdrawn_branches: tuple[str, ...] = Field(description="branches of this version whose datasets are withdrawn")
    withdrawn_ancestral_datasets: int = Field(
        ge=0, description="withdrawn datasets that trained an ancestor and not this version"
    )

    def about(self) -> str:
        return f"model/{self.version}"


class ModelWithheld(Event):
    """The candidate did not meet the growth policy; the rule and its numbers say why."""

    nats_subject: ClassVar[str] = "potluck.model.withheld"

    round_id: UUID
    parent: str | None
    rules: tuple[RuleResult, ...]

    def about(self) -> str:
        return f"round/{self.round_id}"
