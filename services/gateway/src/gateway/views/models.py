"""What readers see of a version of the model."""

from datetime import datetime
from uuid import UUID

from contracts.artifacts import (
    Cost,
    Hardware,
)
from contracts.base import (
    BlobRef,
    BranchError,
    Frozen,
    RuleResult,
)
from contracts.standard import StandardScore
from pydantic import Field


class TrainedDatasetView(Frozen):
    """A row of the model page's table; a private dataset has neither id, url nor authors.

    `withdrawn`: its contributor took it back since; the model stays as it is.
    """

    id: UUID | None
    url: str | None
    name: str
    authors: tuple[str, ...]
    branch: str
    weight: float
    new: bool
    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float
    download: str | None = Field(default=None, description="address of its archive; none for a private one")
    withdrawn: bool = Field(default=False, description="its contributor took it back since")


class ModelFileView(Frozen):
    name: str
    kind: str
    branch: str | None
    size: int
    sha256: str
    url: str


class ModelView(Frozen):
    """A published version of the DPA model."""

    version: str
    parent: str | None
    published: datetime
    preset: str
    datasets: tuple[TrainedDatasetView, ...]
    contributors: tuple[str, ...]
    files: tuple[ModelFileView, ...]
    branches: tuple[BranchError, ...]
    rules: tuple[RuleResult, ...]
    checks: tuple[RuleResult, ...]
    standard_score: float = Field(description="when it was published; versions are compared by `standard`")
    wall_seconds: float
    seed: int | None = None
    steps: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: Hardware | None = None
    cost: Cost | None = Field(default=None, description="of the whole round; none: unknown")
    aliases: tuple[str, ...]
    standard: StandardScore | None = Field(default=None, description="on the newest standard dataset it was scored on")
    parent_standard: StandardScore | None = Field(default=None, description="its parent on the same standard dataset")
    children: tuple[str, ...] = Field(default=(), description="versions that grew from it")
    retired: datetime | None = Field(default=None, description="since when no name points to it")
    retired_reason: str | None = None
    withdrawn_branches: tuple[str, ...] = ()
    withdrawn_ancestral_datasets: int = Field(
        default=0, description="withdrawn datasets that trained an ancestor and not this version"
    )
    manifest: BlobRef | None = Field(default=None, exclude=True, description="a PublishedManifest")
