"""What happens to a dataset: uploaded → validated or rejected → metric-started → passed or not passed."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts.base import (
    BlobRef,
    Credit,
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
    TheoryMismatch,
)
from contracts.envelope import Event
from contracts.signed import SignedReceipt


class DatasetEvent(Event):
    """Facts about one dataset version."""

    dataset: DatasetRef

    def about(self) -> str:
        return f"dataset/{self.dataset}"


class DatasetUploaded(DatasetEvent):
    """The contributor pressed Publish: archive and entry are complete."""

    nats_subject: ClassVar[str] = "potluck.dataset.uploaded"

    owner_id: UUID
    credit: Credit
    archive: BlobRef
    filename: str = Field(description="the archive's name on the contributor's machine")
    format: str = Field(description="a dpdata format, or 'detect'")
    declared: LevelOfTheory | None = None


class DatasetPublished(DatasetEvent):
    """A version of a dataset is there for everybody: it was published openly, or a private one was made public."""

    nats_subject: ClassVar[str] = "potluck.dataset.published"

    title: str
    authors: tuple[str, ...] = Field(description="in the order of credit")
    licence: str = Field(description="SPDX identifier")
    for_training: bool = Field(description="it is checked, and joins the training if it passes; false: shared only")
    was_private: bool = Field(default=False, description="it had been private before")


class DatasetShared(DatasetEvent):
    """A version that does not join the DPA dataset was published: archive and entry are complete."""

    nats_subject: ClassVar[str] = "potluck.dataset.shared"

    archive: BlobRef
    filename: str = Field(description="the archive's name on the contributor's machine")


class DatasetWithdrawn(DatasetEvent):
    """Its contributor took this version back: no round trains on it any more, and nobody downloads it."""

    nats_subject: ClassVar[str] = "potluck.dataset.withdrawn"

    reason: str = Field(description="in the contributor's words; for operators, never shown outside")


class DatasetMadePublic(DatasetEvent):
    """A version that was private is public from now on, under this credit."""

    nats_subject: ClassVar[str] = "potluck.dataset.made-public"

    credit: Credit


class DatasetReading(DatasetEvent):
    """How far ingest has come, about once a second while it reads."""

    nats_subject: ClassVar[str] = "potluck.dataset.reading"

    step: Literal["unpacking", "finding", "parsing", "assembling"]
    files: int = Field(ge=0, description="files unpacked so far")
    calculations: int = Field(ge=0, description="calculations found; 0 until they are")
    parsed: int = Field(ge=0, description="calculations read or set aside so far")
    frames: int = Field(ge=0, description="frames read so far")
    set_aside: int = Field(ge=0, description="calculations and frames set aside so far")
    eta_seconds: float | None = Field(default=None, ge=0, description="none while nothing can be said")


class DatasetValidated(DatasetEvent):
    """Ingest read the archive and wrote the canonical dataset."""

    nats_subject: ClassVar[str] = "potluck.dataset.validated"

    credit: Credit
    manifest: BlobRef = Field(description="a DatasetManifest")
    content_sha256: str = Field(description="hash over the frame hashes: equal content, equal hash")
    format: str = Field(description="the dpdata format that was used")
    frames: int = Field(ge=1)
    train_frames: int = Field(ge=0)
    held_out_frames: int = Field(ge=0)
    duplicate_frames: int = Field(ge=0)
    elements: tuple[str, ...]
    has_virial: bool
    level_of_theory: LevelOfTheory
    set_aside_count: int = Field(ge=0)
    set_aside: tuple[SetAside, ...] = Field(max_length=100, description="the first hundred")
    detection: Detection | None = None
    declared: LevelOfTheory | None = None
    theory_mismatches: tuple[TheoryMismatch, ...] = ()
    overlaps: tuple[Overlap, ...] = Field(default=(), max_length=20, description="most frames first")
    standard_frames: int = Field(default=0, ge=0, description="held out because another dataset holds them out")
    labels: tuple[LabelCount, ...] = ()
    scf: ScfCounts = ScfCounts()
    download: BlobRef | None = Field(
        default=None, description="the archive as it may be shared, when something had to be left out of it"
    )
    removed: tuple[str, ...] = Field(default=(), max_length=100, description="members that `download` lacks")
    train: BlobRef | None = Field(default=None, description="LMDB data file of the training frames, if there are any")
    held_out: BlobRef | None = Field(default=None, description="LMDB data file of the held-out frames")
    element_counts: tuple[ElementCount, ...] = Field(default=(), description="by atomic number")


class DatasetLookedInto(DatasetEvent):
    """Ingest opened the archive of a version that is shared only: others may have it, or `download` in its place."""

    nats_subject: ClassVar[str] = "potluck.dataset.looked-into"

    download: BlobRef | None = Field(
        default=None, description="the archive as it may be shared, when something had to be left out of it"
    )
    removed: tuple[str, ...] = Field(default=(), max_length=100, description="members that `download` lacks")


class DatasetRejected(DatasetEvent):
    """Nothing usable was found; the message says what to do."""

    nats_subject: ClassVar[str] = "potluck.dataset.rejected"

    rule: str = Field(description="stable id, e.g. 'no-calculation', 'archive-climbs', 'too-many-failed'")
    reason: str
    remedy: str
    set_aside: tuple[SetAside, ...] = Field(default=(), max_length=100)


class DatasetMetricStarted(DatasetEvent):
    """A metric worker took the dataset."""

    nats_subject: ClassVar[str] = "potluck.dataset.metric-started"

    run_id: UUID
    model_version: str | None = Field(description="none while there is no model yet")


class MetricOutcome(DatasetEvent):
    """The verdict, in both outcomes with the same numbers."""

    run_id: UUID
    credit: Credit
    dataset_manifest: BlobRef
    model_version: str | None
    report: BlobRef = Field(description="a MetricReport")
    sound: RuleResult
    new: RuleResult
    coverage: float = Field(ge=0, le=1, description="covered fraction of the judged frames, 0..1")
    nearest_branch: str | None
    force_rmse_zero_shot_mev_per_angstrom: float | None = Field(default=None, ge=0)
    energy_rmse_zero_shot_mev_per_atom: float | None = Field(default=None, ge=0, description="aligned")
    energy_shift_ev: dict[str, float] = Field(
        default_factory=dict, description="element → eV per atom to add to the nearest branch's prediction"
    )
    new_elements: tuple[str, ...] = ()
    failed_frames: int = Field(ge=0, description="frames that a fail rule set aside")


class DatasetMetricPassed(MetricOutcome):
    """Sound and new: the dataset waits for a round."""

    nats_subject: ClassVar[str] = "potluck.dataset.metric-passed"


class DatasetMetricNotPassed(MetricOutcome):
    """Covered, or not sound: an entry all the same."""

    nats_subject: ClassVar[str] = "potluck.dataset.metric-not-passed"

    outcome: Literal["covered", "not-sound"]


class DatasetReceiptIssued(DatasetEvent):
    """A round that trained on the dataset was decided: what it did to the model, signed. For whoever may see it."""

    nats_subject: ClassVar[str] = "potluck.dataset.receipt-issued"

    signed: SignedReceipt


class MetricRerunRequested(DatasetEvent):
    """Somebody wants to see that a metric run can be repeated."""

    nats_subject: ClassVar[str] = "potluck.metric.rerun-requested"

    rerun_id: UUID
    run_id: UUID


class NumberCompared(Frozen):
    """One number of a report, as it was and as it came again."""

    name: str = Field(description="e.g. 'coverage', 'branches.si.force_rmse_mev_per_angstrom'")
    before: float | None
    after: float | None


class MetricRerunFinished(DatasetEvent):
    """The run was repeated with its own dataset, model, settings and seed; or it could not be, and why."""

    nats_subject: ClassVar[str] = "potluck.metric.rerun-finished"

    rerun_id: UUID
    run_id: UUID
    repeated: bool = Field(
        default=True,
        description="false: nothing was compared, and the sentence says why (no such run, not finished, data gone)",
    )
    same: bool = Field(description="same verdicts, and every number equal but for rounding")
    sentence: str
    outcome_before: Literal["passed", "covered", "not-sound"] | None = Field(
        default=None, description="none: not repeated"
    )
    outcome_after: Literal["passed", "covered", "not-sound"] | None = Field(
        default=None, description="none: not repeated"
    )
    numbers: int = Field(default=0, ge=0, description="how many numbers were compared")
    largest_relative_difference: float = Field(
        default=0, ge=0, description="|after − before| / max(|after|, |before|), of numbers that differ"
    )
    differences: tuple[NumberCompared, ...] = Field(default=(), max_length=20, description="the largest ones")
    report: BlobRef | None = Field(default=None, description="the MetricReport of the repetition; none: not repeated")
    versions_changed: dict[str, str] = Field(default_factory=dict, description="package → 'before → after'")
