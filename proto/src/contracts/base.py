"""Value types that events and artifacts share. Units: eV, Å, eV/Å; meV for what people read."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 as lower-case hex")]


class Frozen(BaseModel):
    """A message: immutable; a reader ignores fields that a newer writer added."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DatasetRef(Frozen):
    """One version of one dataset entry: the key by which every service knows a contribution."""

    dataset_id: UUID
    version: int = Field(ge=1)

    def __str__(self) -> str:
        return f"{self.dataset_id}/{self.version}"


class BlobRef(Frozen):
    """An object in storage. Whoever fetches it verifies size and hash."""

    key: str = Field(min_length=1)
    sha256: Sha256
    size: int = Field(ge=0, description="bytes")


class Credit(Frozen):
    """What a model's page says about a dataset that trained it. Never shown outside for a private one."""

    title: str
    authors: tuple[str, ...]
    licence: str = Field(description="SPDX identifier")
    private: bool


class LevelOfTheory(Frozen):
    """How the labels were computed, as far as the files or the contributor tell."""

    code: str | None = Field(default=None, description="program and version, e.g. 'Quantum ESPRESSO 6.7'")
    functional: str | None = Field(default=None, description="e.g. 'PBE'")
    cutoff_ev: float | None = Field(default=None, description="plane-wave cutoff, eV")
    k_points: str | None = Field(default=None, description="k-mesh as written, e.g. '2 2 2 0 0 0'")
    basis: str | None = Field(default=None, description="basis set or pseudopotentials, as written")


class SetAside(Frozen):
    """A file, calculation or frame that does not join the dataset, and why."""

    path: str = Field(description="path inside the archive")
    frame: int | None = Field(default=None, description="frame index in that file; none: the whole file")
    rule: str = Field(description="stable id of the rule, e.g. 'not-finite', 'unreadable'")
    reason: str = Field(description="what is wrong, in words")
    remedy: str = Field(description="what the contributor can do")


class BranchError(Frozen):
    """Held-out error of one branch (fitting head)."""

    branch: str
    dataset: DatasetRef | None = Field(default=None, description="dataset whose held-out frames were used")
    energy_rmse_mev_per_atom: float = Field(ge=0)
    force_rmse_mev_per_angstrom: float = Field(ge=0)


class RuleResult(Frozen):
    """One rule of a written policy with the numbers that decided it."""

    rule: str
    passed: bool
    sentence: str = Field(description="the verdict in words, with its numbers")
    numbers: dict[str, float] = Field(default_factory=dict, description="the unit is in the key's name")
    unknown: bool = Field(
        default=False, description="nobody can tell: then `passed` is false and the rule is not broken either"
    )


class Detection(Frozen):
    """What the files look like, and how sure that is."""

    format: str
    confidence: Literal["certain", "likely", "guess"] = Field(
        description="certain: the content says so; likely: names of one program alone; guess: names that many give"
    )
    sentence: str = Field(description="what was found, in words")


class TheoryMismatch(Frozen):
    """A field of the level of theory on which contributor and files disagree."""

    field: str = Field(description="of LevelOfTheory, e.g. 'functional'")
    declared: str
    found: str


class Overlap(Frozen):
    """Another dataset that holds frames of this one. Only public ones and the contributor's own are named."""

    dataset: DatasetRef
    title: str
    frames: int = Field(ge=1)


class ElementCount(Frozen):
    """How much of an element a dataset holds."""

    symbol: str
    atoms: int = Field(ge=1, description="over all frames")
    frames: int = Field(ge=1, description="frames that hold it")


class LabelCount(Frozen):
    """One kind of label: which unit it was brought to, and how many frames have it."""

    name: Literal["energy", "force", "virial"]
    unit: str
    frames: int = Field(ge=0)


class ScfCounts(Frozen):
    """Frames by what their source files say about self-consistency. Unconverged ones were set aside."""

    converged: int = Field(default=0, ge=0)
    unconverged: int = Field(default=0, ge=0)
    unknown: int = Field(default=0, ge=0, description="the files do not tell: never counted as converged")
