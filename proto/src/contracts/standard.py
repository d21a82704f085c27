"""The standard dataset: held-out frames of every branch of the newest model, on which every version is scored."""

from pydantic import Field

from contracts.base import BlobRef, DatasetRef, Frozen, Sha256


class StandardBranch(Frozen):
    """The frames of one branch. What they are is pinned by the dataset's manifest and the frames' hashes."""

    branch: str = Field(description="its name in the model that the frames were chosen for")
    dataset: DatasetRef
    dataset_manifest: BlobRef = Field(description="a DatasetManifest; its hash pins every byte of the dataset")
    metric_report: BlobRef = Field(description="a MetricReport; frames that it failed are no frames of the branch")
    frames: tuple[Sha256, ...] = Field(min_length=1, description="frame hashes, ascending")
    baseline_energy_rmse_mev_per_atom: float = Field(gt=0, description="composition-only baseline on these frames")
    baseline_force_rmse_mev_per_angstrom: float = Field(gt=0, description="all forces zero, on these frames")
    baseline_element_energies_ev: dict[str, float] | None = Field(
        default=None,
        description="element → eV per atom, what that baseline is made of; none in versions from before it was there",
    )


class StandardDataset(Frozen):
    """A version of the standard dataset, S<number>. For services of the platform: it names private datasets."""

    number: int = Field(ge=1)
    model_version: str = Field(description="the version whose publication made it")
    seed: int = Field(description="of the order in which frames are chosen")
    frames_per_branch: int = Field(ge=1, description="at most so many frames of a branch")
    branches: tuple[StandardBranch, ...] = Field(min_length=1)


class PublishedStandardBranch(Frozen):
    """The frames of one branch as anyone may read them; of a private dataset their number alone."""

    branch: str = Field(description="its name in the version that this is published with")
    count: int = Field(ge=1, description="how many frames")
    dataset: DatasetRef | None = Field(description="none for a private one")
    frames: tuple[Sha256, ...] = Field(description="frame hashes, ascending; empty for a private one")
    positions: tuple[int, ...] | None = Field(
        description="where each of `frames` is in the dataset's held-out.mdb, from 0; none for a private one, and "
        "where the trainer did not tell which frames it left out"
    )
    baseline_element_energies_ev: dict[str, float] | None = Field(
        description="element → eV per atom, what the composition-only baseline on these frames is made of; none for a "
        "private one"
    )


class PublishedStandard(Frozen):
    """Which frames a version of the standard dataset holds, as anyone may read it: 'standard.json' of a model."""

    number: int = Field(ge=1)
    branches: tuple[PublishedStandardBranch, ...] = Field(min_length=1)


class StandardBranchScore(Frozen):
    """Error of one model on the standard frames of one branch."""

    branch: str
    frames: int = Field(ge=1)
    energy_rmse_mev_per_atom: float = Field(ge=0)
    force_rmse_mev_per_angstrom: float = Field(ge=0)
    baseline_energy_rmse_mev_per_atom: float = Field(gt=0)
    baseline_force_rmse_mev_per_angstrom: float = Field(gt=0)
    zero_shot: bool = Field(
        description="the model has no such branch: its nearest one predicted, energies aligned by element"
    )


class StandardScore(Frozen):
    """How good a model is on one version of the standard dataset. Means over branches are geometric."""

    standard: int = Field(ge=1, description="number of the standard dataset's version")
    score: float = Field(ge=0, description="E = ½(energy_ratio + force_ratio): 0 is DFT, 1 a composition-only baseline")
    energy_ratio: float = Field(ge=0, description="M_E: mean of RMSE / RMSE of the baseline")
    force_ratio: float = Field(ge=0, description="M_F: the same of forces")
    energy_rmse_mev_per_atom: float = Field(ge=0, description="mean of the branches' RMSE")
    force_rmse_mev_per_angstrom: float = Field(ge=0, description="mean of the branches' RMSE")
    branches: tuple[StandardBranchScore, ...] = Field(min_length=1)
