"""What happens to a dataset: uploaded → validated or rejected → metric-started → passed or not passed."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from contracts.base import BlobRef, Credit, DatasetRef, LevelOfTheory, RuleResult, SetAside
from contracts.envelope import Event


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
