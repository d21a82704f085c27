"""JSON objects in storage that one service writes and another reads. Keys: see `keys`."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.base import (
    BlobRef,
    BranchError,
    DatasetRef,
    Detection,
    ElementCount,
    Frozen,
    LabelCount,
    LevelOfTheory,
    Overlap,
    RuleResult,
    ScfCounts,
    SetAside,
    Sha256,
    TheoryMismatch,
)
from contracts.standard import StandardScore


class FormatInfo(Frozen):
    """One labeled format of dpdata, as the upload page offers it."""

    name: str = Field(description="dpdata's name, e.g. 'qe/pw/scf'")
    title: str
    reads: Literal["file", "folder", "files"] = Field(description="what one calculation is")
    names: tuple[str, ...] = Field(description="glob patterns of usual names")
    aliases: tuple[str, ...] = ()
    example: str = Field(default="", description="what one calculation looks like, e.g. 'scf.in and scf.out'")


class FormatCatalog(Frozen):
    """Written by ingest when it starts, from dpdata's own registry; read by the gateway."""

    dpdata_version: str
    formats: tuple[FormatInfo, ...]


class Histogram(Frozen):
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class CompositionCount(Frozen):
    formula: str
    frames: int


class PreviewStructure(Frozen):
    """A structure to draw; positions and cell in Å."""

    symbols: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...]
    cell: tuple[tuple[float, float, float], ...] | None
    frame: int | None = Field(default=None, description="its place among the frames of the dataset, from 0")


class StructurePrediction(Frozen):
    """What one branch of a version says of a structure that somebody sent.

    No label is there to compare with: it counts as covered when the branch has seen all its elements and it lies no
    farther from what the version was trained on than training structures lie from each other.
    """

    model_version: str
    branch: str
    structure: PreviewStructure
    energy_ev: float = Field(description="at the branch's level of theory")
    forces_ev_per_angstrom: tuple[tuple[float, float, float], ...]
    max_force_ev_per_angstrom: float
    covered: bool
    unknown_elements: tuple[str, ...] = Field(description="that the branch has never seen")
    distance: float | None = Field(
        description="to the training data, in units of that among training structures; none: it was not measured"
    )
    far_above: float | None = Field(description="a distance above this counts as far")
    expected_force_rmse_mev_per_angstrom: float = Field(description="of the branch on its held-out frames")


Run = tuple[int, int]
"""First position and how many that follow each other."""


class SharedFrames(Frozen):
    """Which frames of a dataset one other dataset version holds too: runs of positions in each split's LMDB."""

    dataset: DatasetRef
    train: tuple[Run, ...] = ()
    held_out: tuple[Run, ...] = ()


class OverlappingFrames(Frozen):
    """Frames of a dataset by who else holds them: every version of the datasets that its manifest names as overlaps."""

    shared: tuple[SharedFrames, ...]


class DatasetManifest(Frozen):
    """The canonical dataset: two LMDB files (deepmd's own reader opens them) and what is in them."""

    dataset: DatasetRef
    content_sha256: str
    train: BlobRef | None = Field(description="LMDB data file of the training frames; none when all are held out")
    held_out: BlobRef = Field(description="LMDB data file of the held-out frames")
    frames: int
    train_frames: int
    held_out_frames: int
    duplicate_frames: int
    atoms: int
    elements: tuple[str, ...]
    compositions: tuple[CompositionCount, ...]
    has_virial: bool
    level_of_theory: LevelOfTheory
    format: str
    set_aside: tuple[SetAside, ...]
    energy_per_atom_ev: Histogram
    force_component_ev_per_angstrom: Histogram
    preview: tuple[PreviewStructure, ...]
    versions: dict[str, str] = Field(description="dpdata and plugins that read it")
    detection: Detection | None = Field(default=None, description="what the files look like, whatever was chosen")
    declared: LevelOfTheory | None = Field(default=None, description="as the contributor told it")
    theory_mismatches: tuple[TheoryMismatch, ...] = ()
    overlaps: tuple[Overlap, ...] = Field(default=(), description="most frames first")
    known_in: BlobRef | None = Field(
        default=None, description="an OverlappingFrames: which frames those are; none without overlaps"
    )
    standard_frames: int = Field(
        default=0, description="frames that another dataset holds out: held out here too, never trained on"
    )
    frame_hashes: BlobRef | None = Field(
        default=None,
        description="32 bytes a frame (frames.hashing): training frames in the order of their LMDB, then held-out ones",
    )
    labels: tuple[LabelCount, ...] = ()
    scf: ScfCounts = ScfCounts()
    element_pairs: tuple[str, ...] = Field(
        default=(), description="elements that occur together in a frame, by atomic number, e.g. 'C-Si'; 'Si-Si' too"
    )
    download: BlobRef | None = Field(
        default=None, description="the archive as it may be shared, when something had to be left out of it"
    )
    removed: tuple[str, ...] = Field(default=(), description="members that `download` lacks, e.g. POTCAR files")
    element_counts: tuple[ElementCount, ...] = Field(default=(), description="by atomic number")


class FrameVerdict(Frozen):
    """The judgement of one frame."""

    split: Literal["train", "held-out"]
    index: int = Field(description="index in that split's LMDB")
    verdict: Literal["covered", "useful", "suspect", "failed"] = Field(
        description="suspect: a rule warned; it is trained on all the same. failed: a rule set it aside"
    )
    covered: bool | None = Field(
        default=None, description="by the nearest branch, whether suspect or not; none: not held against it"
    )
    max_force_error_ev_per_angstrom: float | None = Field(default=None, description="max over atoms of ‖ΔF‖")
    energy_error_mev_per_atom: float | None = Field(
        default=None, description="zero-shot, predicted less DFT after one shift an element"
    )
    descriptor_distance: float | None = Field(
        default=None,
        description="nearest-neighbour distance in units of that among training frames; 100: that or more, as of a "
        "frame with an element that no training frame has",
    )
    rules: tuple[RuleResult, ...] = Field(
        default=(),
        description="rules that failed or warned, only those; empty for failed frames after the first thousand",
    )


class BranchCoverage(Frozen):
    branch: str
    force_rmse_mev_per_angstrom: float
    energy_rmse_mev_per_atom: float
    threshold_ev_per_angstrom: float
    coverage: float
    alignment_rank: int
    elements: int


class Parity(Frozen):
    """Predicted against DFT, sampled for drawing."""

    quantity: Literal["energy", "force"]
    unit: str
    reference: tuple[float, ...]
    predicted: tuple[float, ...]
    rmse: float


class MetricPolicy(Frozen):
    """Written by metric when it starts: what it judges by, for whoever wants to know beforehand."""

    settings: dict[str, float] = Field(description="as in a MetricReport; units are in the names")


class GrowthRule(Frozen):
    """One rule of the growth policy with its thresholds."""

    rule: str
    sentence: str
    numbers: dict[str, float] = Field(default_factory=dict, description="the unit is in the key's name")


class GrowthPolicyInForce(Frozen):
    """Written by the registry when it starts: by what it decides whether a candidate is published."""

    rules: tuple[GrowthRule, ...]
    withholding_checks: tuple[str, ...] = ()
    numbers: dict[str, float] = Field(description="of rounds: how long they gather and train; units are in the names")
    preset: str


class MapPoint(Frozen):
    """A frame on the map of descriptors. Of known data no more than the place is told."""

    x: float
    y: float
    split: Literal["train", "held-out"] | None = Field(default=None, description="none for known data")
    index: int | None = None


class DescriptorMap(Frozen):
    """The two directions in which known and new frames differ most (principal components of mean descriptors)."""

    known: tuple[MapPoint, ...]
    new: tuple[MapPoint, ...]
    explained: tuple[float, float] = Field(description="part of the variance along each axis, 0..1")


class Novelty(Frozen):
    """How far the frames lie from training data: 1 is the usual distance among training frames themselves, 100 stands
    for every larger one.
    """

    median: float
    percentile_95: float
    far_fraction: float = Field(description="frames beyond `far_above`, 0..1")
    far_above: float
    unknown_element_frames: int = Field(
        default=0, ge=0, description="frames with an element that no training frame has; they count as 100 and as far"
    )
    histogram: Histogram


class GainPoint(Frozen):
    """Held-out error after a short training on some of the frames."""

    frames: int = Field(ge=0, description="0: zero-shot")
    force_rmse_mev_per_angstrom: float
    energy_rmse_mev_per_atom: float


class LearningGain(Frozen):
    """What the model gains from the dataset, tried in short trainings. Optional: a setting of the operator."""

    steps: int
    points: tuple[GainPoint, ...]


class MetricReport(Frozen):
    """Everything a metric run found; both the site's charts and the pictures are drawn from it."""

    dataset: DatasetRef
    run_id: UUID
    model_version: str | None
    frames_judged: int
    sound: RuleResult
    new: RuleResult
    checks: tuple[RuleResult, ...]
    coverage: float
    threshold_ev_per_angstrom: float | None
    branches: tuple[BranchCoverage, ...]
    nearest_branch: str | None
    energy_shift_ev: dict[str, float]
    new_elements: tuple[str, ...]
    force_slope: float | None = None
    force_correlation: float | None = None
    parity: tuple[Parity, ...]
    max_force_error_histogram: Histogram | None
    verdicts: tuple[FrameVerdict, ...] = Field(
        description="of every judged and every failed frame; of a dataset that is not sound the first 10,000 failed "
        "ones. `tables` have all frames"
    )
    pictures: dict[str, BlobRef] = Field(description="name → SVG or PNG, e.g. 'parity-force.svg'")
    settings: dict[str, float]
    versions: dict[str, str]
    new_element_pairs: tuple[str, ...] = Field(default=(), description="pairs that no training frame holds together")
    map: DescriptorMap | None = None
    novelty: Novelty | None = None
    learning_gain: LearningGain | None = None
    tables: dict[str, BlobRef] = Field(
        default_factory=dict, description="a row a frame, every rule with its value: 'frames.csv', 'frames.parquet'"
    )
    # With settings and versions: what it takes to run it again and get the same.
    dataset_content_sha256: str | None = None
    dataset_manifest: BlobRef | None = None
    model_manifest: BlobRef | None = None
    seed: int = 0
    device: str = Field(default="cpu", description="where the model predicted, e.g. 'cpu', 'cuda'")


class Gpu(Frozen):
    name: str
    memory_bytes: int | None = Field(default=None, ge=0, description="none: not known")


class Hardware(Frozen):
    """What the last attempt of a round trained on."""

    cpu: str | None = Field(description="model; none: not known")
    cpu_cores: int | None = Field(description="that training might use, over all its processes; none: not known")
    memory_bytes: int | None = Field(description="main memory of one machine; none: not known")
    gpus: tuple[Gpu, ...] = ()
    device: str = Field(default="cpu", description="where training ran: 'cpu' or 'cuda'")


class Cost(Frozen):
    """What a round took, all its attempts together, as far as workers told: a lost one until it was last heard of."""

    attempts: int = Field(ge=1)
    attempts_told: int = Field(ge=0, description="attempts whose worker told what it used")
    core_hours: float = Field(ge=0, description="time times CPU cores held")
    gpu_hours: float = Field(ge=0, description="time times GPUs held")
    cpu_energy_kwh: float | None = Field(default=None, description="whole CPU packages (RAPL); none: unknown")
    gpu_energy_kwh: float | None = Field(default=None, description="whole GPUs (NVML); none: unknown, or no GPU")


class FrameErrors(Frozen):
    """Errors of one prediction on each held-out frame, in their order, rounded to six digits."""

    energy_mev_per_atom: tuple[float, ...] = Field(description="|ΔE|/N of each frame")
    force_mev_per_angstrom: tuple[float, ...] = Field(description="√(Σ‖ΔF‖²/3N) of each frame")


class HeldOutFrames(Frozen):
    """What confidence intervals are drawn from: the same frames, predicted by three."""

    atoms: tuple[int, ...] = Field(description="N of each frame")
    after: FrameErrors = Field(description="the candidate")
    before: FrameErrors | None = Field(
        default=None, description="an old branch: the parent; a new one: zero-shot; none in a first model"
    )
    baseline: FrameErrors = Field(description="energies from the composition alone, forces zero")
    hashes: tuple[Sha256, ...] = Field(
        default=(), description="frames.hashing of each frame; empty in manifests written before it was there"
    )
    seen: tuple[int, ...] = Field(
        default=(),
        description="indices of frames that a dataset of this round has among its training frames: left out there from "
        "now on, but an earlier model may have learned them",
    )


class BranchManifest(Frozen):
    """One fitting head of a model."""

    name: str
    dataset: DatasetRef
    dataset_manifest: BlobRef
    elements: tuple[str, ...]
    level_of_theory: LevelOfTheory
    weight: float
    held_out: BranchError
    held_out_max_force_errors_ev_per_angstrom: tuple[float, ...] = Field(
        description="max over atoms of ‖ΔF‖ for each held-out frame: the conformal calibration"
    )
    baseline_energy_rmse_mev_per_atom: float = Field(description="composition-only baseline on the same frames")
    baseline_force_rmse_mev_per_angstrom: float = Field(description="all forces zero, on the same frames")
    held_out_frames: HeldOutFrames | None = Field(
        default=None, description="none in manifests written before it was there"
    )
    left_out_frames: int = Field(
        default=0, ge=0, description="training frames that were left out because they are test frames"
    )
    # None in manifests written before they were there:
    content_sha256: Sha256 | None = Field(default=None, description="of the dataset")
    left_out_held_out: tuple[int, ...] | None = Field(
        default=None, description="held-out frames (index in their LMDB) that the metric failed: not measured on"
    )
    baseline_element_energies_ev: dict[str, float] | None = Field(
        default=None, description="element → eV per atom, fitted to training frames: the composition-only baseline"
    )
    baseline_train_frames: tuple[int, ...] | None = Field(
        default=None, description="which training frames (index in their LMDB) those were fitted to"
    )


class ModelManifest(Frozen):
    """A candidate or published model as the trainer describes it."""

    round_id: UUID
    parent_version: str | None
    preset: str
    checkpoint: BlobRef = Field(description="training checkpoint with optimizer: what the next round grows from")
    release: BlobRef = Field(description="deepmd .pt without optimizer, every branch")
    frozen: dict[str, BlobRef] = Field(description="branch → .pth")
    recipe: BlobRef = Field(description="the rendered deepmd input")
    branches: tuple[BranchManifest, ...]
    new_branches: tuple[str, ...]
    zero_shot: tuple[BranchError, ...] = Field(
        description="new branches' held-out frames by the parent's nearest branch, energies aligned on training frames"
    )
    parent_held_out: tuple[BranchError, ...] = Field(description="old branches, by the parent, same frames")
    verification: RuleResult = Field(description="the artifact in a fresh process against the trainer's numbers")
    checks: tuple[RuleResult, ...] = Field(
        default=(), description="what that process found, one by one; `verification` sums up those that must hold"
    )
    steps: int
    wall_seconds: float
    versions: dict[str, str]
    # None, or empty, in manifests written before they were there:
    start: tuple[BranchError, ...] = Field(
        default=(),
        description="new branches as training began, same frames: with a neutral case, energies aligned once more",
    )
    moments_kept: bool | None = Field(
        default=None,
        description="the first step was taken with the optimizer's moments of the parent, not with none; none too "
        "without a parent",
    )
    took_turns: bool | None = Field(
        default=None,
        description="branches took turns, each as often as its weight says; false: each step's was drawn at random",
    )
    seed: int | None = None
    hardware: Hardware | None = None
    cost: Cost | None = Field(default=None, description="of a candidate: this attempt; of a model: the whole round")
    standard_dataset: BlobRef | None = Field(
        default=None, description="of a model: the StandardDataset that it was scored on; none for a candidate"
    )


class PublishedBranch(Frozen):
    """A fitting head of a published model, as anyone may read it."""

    name: str
    dataset: DatasetRef | None = Field(description="none for a private one")
    title: str | None = Field(description="none for a private one")
    authors: tuple[str, ...] = Field(description="empty for a private one")
    licence: str | None = Field(description="none for a private one")
    elements: tuple[str, ...] = Field(description="empty for a private one")
    level_of_theory: LevelOfTheory | None = Field(description="none for a private one")
    weight: float = Field(description="sampling probability in training, 0..1")
    new: bool = Field(description="joined with this version")
    energy_rmse_mev_per_atom: float = Field(description="held-out")
    force_rmse_mev_per_angstrom: float = Field(description="held-out")
    threshold_ev_per_angstrom: float | None = Field(
        default=None, description="a frame whose largest force error is not above this counts as known to the branch"
    )
    # What the numbers are made of; none for a private one, and in manifests written before it was there.
    content_sha256: Sha256 | None = Field(default=None, description="of the dataset")
    held_out_frames: int | None = Field(default=None, description="how many were measured on")
    left_out_held_out: tuple[int, ...] | None = Field(
        default=None, description="held-out frames (index in their LMDB) that the metric failed: not measured on"
    )
    baseline_element_energies_ev: dict[str, float] | None = Field(default=None, description="element → eV per atom")
    baseline_train_frames: tuple[int, ...] | None = Field(
        default=None,
        description="which training frames (index in their LMDB) those were fitted to; none too when frames were left "
        "out because other datasets test on them",
    )
    baseline_energy_rmse_mev_per_atom: float | None = Field(default=None, description="composition-only, held-out")
    baseline_force_rmse_mev_per_angstrom: float | None = Field(default=None, description="all forces zero, held-out")


class PublishedFile(Frozen):
    """A file of the version beside its manifest."""

    name: str
    kind: str
    branch: str | None = None
    sha256: Sha256
    size: int = Field(ge=0, description="bytes")


class PublishedManifest(Frozen):
    """What a published model is and how it was made, without anything of a private dataset."""

    version: str
    parent_version: str | None
    round_id: UUID
    preset: str
    branches: tuple[PublishedBranch, ...]
    contributors: tuple[str, ...] = Field(description="authors of public datasets, in order of arrival")
    rules: tuple[RuleResult, ...]
    checks: tuple[RuleResult, ...] = Field(default=(), description="what a fresh process found out about the files")
    standard_score: float
    standard: StandardScore | None = Field(
        default=None, description="`standard_score` with what it is made of, when it was published"
    )
    steps: int
    wall_seconds: float
    versions: dict[str, str]
    files: tuple[PublishedFile, ...] = ()
    # None in manifests written before they were there:
    moments_kept: bool | None = Field(
        default=None,
        description="the first step was taken with the optimizer's moments of the parent, not with none; none too "
        "without a parent",
    )
    took_turns: bool | None = Field(
        default=None,
        description="branches took turns, each as often as its weight says; false: each step's was drawn at random",
    )
    seed: int | None = None
    hardware: Hardware | None = None
    cost: Cost | None = Field(default=None, description="of the whole round")
    score_held_out: float | None = Field(
        default=None,
        description="E on all held-out frames of all branches, what the branches' numbers make up; none when a "
        "baseline has no error",
    )
