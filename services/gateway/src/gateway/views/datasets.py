"""What readers see of datasets: the JSON of the API, and what pages render.

Units are in the names; absent means not yet.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.artifacts import (
    BranchCoverage,
    CompositionCount,
    FrameVerdict,
    LearningGain,
    Novelty,
    PreviewStructure,
)
from contracts.base import (
    Detection,
    ElementCount,
    Frozen,
    LabelCount,
    LevelOfTheory,
    RuleResult,
    ScfCounts,
    SetAside,
    TheoryMismatch,
)
from contracts.events import NumberCompared
from pydantic import Field

Stage = Literal["submit", "check", "queue", "train", "done"]
State = Literal[
    "uploaded",
    "validated",
    "rejected",
    "checking",
    "passed",
    "not-passed",
    "training",
    "published",
    "withheld",
    "failed",
    "shared",
    "withdrawn",
]
Verdict = Literal["passed", "covered", "not-sound", "rejected"]
RoundStage = Literal["waiting", "training", "finished", "failed", "published", "withheld"]
Scope = Literal["read", "contribute", "account"]


class HeldUp(Frozen):
    """Something on our side failed; nothing is lost."""

    reason: str


class Message(Frozen):
    """Why it ended as it did, and what the contributor can do."""

    rule: str
    reason: str
    remedy: str
    set_aside: tuple[SetAside, ...] = ()


class QueuePlace(Frozen):
    """Place in the line for the check or for training; position 1 is next."""

    line: Literal["check", "train"]
    position: int
    ahead: int
    eta_low_seconds: float | None = None
    eta_high_seconds: float | None = None


class ReadingView(Frozen):
    """How far ingest has come; only while it reads."""

    step: Literal["unpacking", "finding", "parsing", "assembling"]
    files: int
    calculations: int
    parsed: int
    frames: int
    set_aside: int
    eta_seconds: float | None = None


class OverlapView(Frozen):
    """Another dataset that the reader may see, and how many frames it shares with this one."""

    id: UUID
    url: str
    name: str
    frames: int


class DownloadView(Frozen):
    """The archive as this reader may have it. `removed`: members that were left out of it."""

    url: str
    filename: str
    size: int
    sha256: str
    removed: tuple[str, ...] = ()


class IngestView(Frozen):
    """What ingest found in the archive."""

    format: str
    frames: int
    train_frames: int
    held_out_frames: int
    duplicate_frames: int
    elements: tuple[str, ...]
    has_virial: bool
    level_of_theory: LevelOfTheory
    set_aside_count: int
    set_aside: tuple[SetAside, ...]
    detection: Detection | None = None
    declared: LevelOfTheory | None = None
    theory_mismatches: tuple[TheoryMismatch, ...] = ()
    overlaps: tuple[OverlapView, ...] = ()
    standard_frames: int = 0
    labels: tuple[LabelCount, ...] = ()
    scf: ScfCounts = ScfCounts()
    element_counts: tuple[ElementCount, ...] = ()


class ReportSummary(Frozen):
    """What a dataset's page shows of a metric report; empty in lists. The whole of it is at /metric."""

    frames_judged: int = 0
    threshold_ev_per_angstrom: float | None = None
    checks: tuple[RuleResult, ...] = ()
    branches: tuple[BranchCoverage, ...] = ()
    verdicts: dict[str, int] = Field(default_factory=dict)
    frames: tuple[FrameVerdict, ...] = ()
    new_element_pairs: tuple[str, ...] = ()
    novelty: Novelty | None = None
    learning_gain: LearningGain | None = None
    seed: int = 0
    device: str = ""


class RerunView(Frozen):
    """A repetition of a metric run. `sentence` and what follows are there when it is done."""

    id: UUID
    run_id: UUID
    state: Literal["running", "done", "failed"]
    requested: datetime
    finished: datetime | None = None
    same: bool | None = None
    sentence: str = ""
    outcome_before: str | None = None
    outcome_after: str | None = None
    numbers: int = 0
    largest_relative_difference: float | None = None
    differences: tuple[NumberCompared, ...] = ()
    versions_changed: dict[str, str] = Field(default_factory=dict)


class MetricView(Frozen):
    """What the metric found. RMSE are zero-shot: before training."""

    run_id: UUID
    model_version: str | None
    coverage: float
    sound: RuleResult
    new: RuleResult
    nearest_branch: str | None
    force_rmse_zero_shot_mev_per_angstrom: float | None
    energy_rmse_zero_shot_mev_per_atom: float | None
    new_elements: tuple[str, ...]
    failed_frames: int
    pictures: dict[str, str]
    tables: dict[str, str] = Field(default_factory=dict)
    report_url: str = ""
    report: ReportSummary = ReportSummary()
    sentence: str


class CurvePoint(Frozen):
    """Held-out error on this dataset at one step of the training."""

    step: int
    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float


class TrainingView(Frozen):
    """The round that this dataset is new in, and its own curve."""

    round_id: UUID
    branch: str
    state: RoundStage
    attempt: int
    worker: str | None
    step: int
    total_steps: int
    eta_seconds: float | None
    curve: tuple[CurvePoint, ...]
    force_rmse_after_mev_per_angstrom: float | None
    energy_rmse_after_mev_per_atom: float | None
    waits_for: str | None = Field(default=None, description="a machine that is not there, in words")


class DatasetView(Frozen):
    """One contribution with everything that is known about it.

    `orcids`: name of an author → ORCID iD. `dpa`: it joins the DPA dataset, else it is shared only. `newer`: a version
    that this reader may see and that came later.
    """

    id: UUID
    version: int
    url: str
    name: str
    authors: tuple[str, ...]
    orcids: dict[str, str] = Field(default_factory=dict)
    licence: str
    private: bool
    dpa: bool = True
    region: str | None = None
    made_public: datetime | None = None
    withdrawn: datetime | None = None
    newer: int | None = None
    description: str
    created: datetime
    filename: str
    size: int
    sha256: str
    stage: Stage
    state: State
    verdict: Verdict | None
    held_up: HeldUp | None
    message: Message | None
    queue: QueuePlace | None
    reading: ReadingView | None = None
    declared: LevelOfTheory | None = None
    ingest: IngestView | None
    looked_into: bool = Field(
        default=True, description="the archive was searched for files that may not be shared: others may download it"
    )
    download: DownloadView | None = None
    frame_files: tuple[DownloadView, ...] = Field(
        default=(), description="the frames as they are trained on and measured on (LMDB), when they have been read"
    )
    metric: MetricView | None
    reruns: tuple[RerunView, ...] = ()
    training: TrainingView | None
    model: str | None
    growth: tuple[RuleResult, ...] | None
    yours: bool = False


class ContentsView(Frozen):
    """Structures to look at (positions and cells in Å), and the commonest compositions."""

    structures: tuple[PreviewStructure, ...]
    compositions: tuple[CompositionCount, ...]


class DatasetPage(Frozen):
    """A page of a list, newest first."""

    datasets: tuple[DatasetView, ...]
    page: int
    pages: int
    total: int
