"""Events as other services would send them, for one dataset."""

from hashlib import sha256
from typing import Any, Literal
from uuid import UUID, uuid4

from contracts.artifacts import MetricReport
from contracts.base import (
    BlobRef,
    BranchError,
    Credit,
    DatasetRef,
    Detection,
    LabelCount,
    LevelOfTheory,
    Overlap,
    RuleResult,
    ScfCounts,
    SetAside,
    TheoryMismatch,
)
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetReading,
    DatasetReceiptIssued,
    DatasetRejected,
    DatasetValidated,
    MetricRerunFinished,
    MetricRerunRequested,
    ModelFile,
    ModelPublished,
    ModelWithheld,
    NumberCompared,
    TrainedDataset,
    TrainingFailed,
    TrainingFinished,
    TrainingHeldUp,
    TrainingProgress,
    TrainingQueued,
    TrainingReleased,
    TrainingStarted,
)
from contracts.signed import BeforeAfter, Errors, Others, Receipt, StandardChange
from registry.domain.signing import Signer

SIGNER = Signer("55" * 32)
CREDIT = Credit(title="SiC", authors=("Demo Contributor",), licence="CC-BY-4.0", private=False)
SOUND = RuleResult(rule="sound", passed=True, sentence="All 100 frames are sound.")
NEW = RuleResult(rule="new", passed=True, sentence="20 % of the frames are covered: this is new.")
COVERED = RuleResult(rule="new", passed=False, sentence="97 % of the frames are covered.")
LEARNED = RuleResult(rule="learned", passed=True, sentence="Force RMSE fell by 62 %.", numbers={"fell_percent": 62.0})
CONSERVES = RuleResult(rule="conserves-energy", passed=False, sentence="A run loses 3 meV/atom (1 allowed).")
FORGOT = RuleResult(rule="remembered", passed=False, sentence="Force RMSE on 'si' rose by 9 %.")
ASIDE = SetAside(path="run2/OUTCAR", rule="not-finite", reason="A force is NaN.", remedy="Run this step again.")


def blob(key: str, data: bytes = b"") -> BlobRef:
    return BlobRef(key=key, sha256=sha256(data).hexdigest(), size=len(data))


def validated(dataset: DatasetRef) -> DatasetValidated:
    return DatasetValidated(
        dataset=dataset,
        credit=CREDIT,
        manifest=blob("datasets/x/manifest.json"),
        content_sha256="0" * 64,
        format="vasp/outcar",
        frames=100,
        train_frames=80,
        held_out_frames=20,
        duplicate_frames=1,
        elements=("C", "Si"),
        has_virial=True,
        level_of_theory=LevelOfTheory(functional="PBE"),
        set_aside_count=1,
        set_aside=(ASIDE,),
    )


def rejected(dataset: DatasetRef) -> DatasetRejected:
    return DatasetRejected(
        dataset=dataset, rule="no-calculation", reason="There is no calculation.", remedy="Add the OUTCAR files."
    )


def reading(dataset: DatasetRef, parsed: int = 0, calculations: int = 1000, **facts: Any) -> DatasetReading:
    """Ingest has unpacked 2,100 files and parsed so many calculations, ten frames each."""
    told: dict[str, Any] = {
        "step": "parsing",
        "files": 2100,
        "frames": 10 * parsed,
        "set_aside": 2,
        "eta_seconds": 90.0,
    }
    return DatasetReading(dataset=dataset, calculations=calculations, parsed=parsed, **(told | facts))


def place(line: str, position: int, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A place in a line as the API tells it."""
    return {
        "line": line,
        "position": position,
        "ahead": position - 1,
        "eta_low_seconds": low,
        "eta_high_seconds": high,
    }


def read_closely(dataset: DatasetRef, *overlaps: Overlap, download: BlobRef | None = None) -> DatasetValidated:
    """Everything that ingest may tell of what it read."""
    return DatasetValidated.model_validate(
        validated(dataset).model_dump()
        | {
            "detection": Detection(
                format="vasp/outcar", confidence="certain", sentence="This looks like VASP: 40 files are OUTCARs."
            ),
            "declared": LevelOfTheory(functional="PBE", cutoff_ev=400.0),
            "level_of_theory": LevelOfTheory(code="VASP 6.4.3", functional="PBE", cutoff_ev=520.0, k_points="4 4 4"),
            "theory_mismatches": (TheoryMismatch(field="cutoff_ev", declared="400 eV", found="520 eV"),),
            "overlaps": overlaps,
            "standard_frames": 3,
            "labels": (
                LabelCount(name="energy", unit="eV", frames=100),
                LabelCount(name="force", unit="eV/Å", frames=100),
                LabelCount(name="virial", unit="eV", frames=60),
            ),
            "scf": ScfCounts(converged=90, unconverged=4, unknown=10),
            "download": download,
            "removed": ("run1/POTCAR", "run2/POTCAR") if download else (),
        }
    )


def receipt(
    dataset: DatasetRef, round_id: UUID, version: str | None = "1.1", issued: str = "2026-11-25T19:02:11Z"
) -> DatasetReceiptIssued:
    """What a round did for the dataset, signed by some key."""
    before = Errors(energy_rmse_mev_per_atom=80, force_rmse_mev_per_angstrom=1971.25)
    after = Errors(energy_rmse_mev_per_atom=20.1235, force_rmse_mev_per_angstrom=404)
    told = Receipt(
        dataset_id=dataset.dataset_id,
        dataset_version=dataset.version,
        content_sha256="c" * 64,
        round_id=round_id,
        issued=issued,
        outcome="published" if version else "withheld",
        failed_rules=() if version else ("remembered",),
        model_version=version,
        parent_version="1.0",
        branch="branch-0",
        role="new",
        weight=0.5,
        own=BeforeAfter(before=before, after=after),
        others=Others(branches=2, before=after, after=after, largest_force_rise_percent=-1.5),
        standard=StandardChange(before=0.41, after=0.3725),
    )
    return DatasetReceiptIssued(dataset=dataset, signed=SIGNER.receipt(told))


def rerun_finished(requested: MetricRerunRequested, *, same: bool = True) -> MetricRerunFinished:
    return MetricRerunFinished(
        dataset=requested.dataset,
        rerun_id=requested.rerun_id,
        run_id=requested.run_id,
        same=same,
        sentence="The same verdict and the same 212 numbers." if same else "The verdict is another one.",
        outcome_before="passed",
        outcome_after="passed" if same else "covered",
        numbers=212,
        largest_relative_difference=0.0 if same else 0.5,
        differences=() if same else (NumberCompared(name="coverage", before=0.2, after=0.95),),
        report=blob("metric/again/report.json"),
    )


def metric_started(dataset: DatasetRef) -> DatasetMetricStarted:
    return DatasetMetricStarted(dataset=dataset, run_id=uuid4(), model_version="1.0")


def report(dataset: DatasetRef, pictures: dict[str, BlobRef]) -> MetricReport:
    return MetricReport(
        dataset=dataset,
        run_id=uuid4(),
        model_version="1.0",
        frames_judged=100,
        sound=SOUND,
        new=NEW,
        checks=(),
        coverage=0.2,
        threshold_ev_per_angstrom=0.3,
        branches=(),
        nearest_branch="si",
        energy_shift_ev={},
        new_elements=("C",),
        parity=(),
        max_force_error_histogram=None,
        verdicts=(),
        pictures=pictures,
        settings={},
        versions={},
    )


def passed(dataset: DatasetRef, report_ref: BlobRef) -> DatasetMetricPassed:
    return DatasetMetricPassed(
        dataset=dataset,
        run_id=uuid4(),
        credit=CREDIT,
        dataset_manifest=blob("datasets/x/manifest.json"),
        model_version="1.0",
        report=report_ref,
        sound=SOUND,
        new=NEW,
        coverage=0.2,
        nearest_branch="si",
        force_rmse_zero_shot_mev_per_angstrom=812.0,
        energy_rmse_zero_shot_mev_per_atom=45.0,
        new_elements=("C",),
        failed_frames=0,
    )


def covered(dataset: DatasetRef, report_ref: BlobRef) -> DatasetMetricNotPassed:
    shared = passed(dataset, report_ref).model_dump() | {"new": COVERED, "coverage": 0.97, "outcome": "covered"}
    return DatasetMetricNotPassed.model_validate(shared)


def queued(round_id: UUID, *datasets: DatasetRef) -> TrainingQueued:
    return TrainingQueued(
        round_id=round_id,
        datasets=datasets,
        branches={str(dataset): f"branch-{number}" for number, dataset in enumerate(datasets)},
        parent_version="1.0",
        preset="laptop",
        total_steps=1000,
    )


def training_held_up(round_id: UUID, attempt: int = 1) -> TrainingHeldUp:
    reason = (
        "Training waits for a machine with a GPU of at least 16 GB: no training machine is connected at the moment."
    )
    return TrainingHeldUp(round_id=round_id, attempt=attempt, reason=reason)


def started(round_id: UUID, attempt: int = 1, resumed_from: int = 0) -> TrainingStarted:
    return TrainingStarted(
        round_id=round_id, attempt=attempt, worker=f"worker-{attempt}", resumed_from_step=resumed_from
    )


def errors(force: float, branches: int = 1) -> tuple[BranchError, ...]:
    return tuple(
        BranchError(branch=f"branch-{number}", energy_rmse_mev_per_atom=force / 10, force_rmse_mev_per_angstrom=force)
        for number in range(branches)
    )


def progress(round_id: UUID, step: int, force: float, attempt: int = 1) -> TrainingProgress:
    return TrainingProgress(
        round_id=round_id,
        attempt=attempt,
        step=step,
        total_steps=1000,
        learning_rate=1e-3,
        branches=errors(force),
        frames_per_second=50,
        eta_seconds=60,
    )


def finished(round_id: UUID, force: float = 100) -> TrainingFinished:
    return TrainingFinished(round_id=round_id, attempt=1, branches=errors(force), wall_seconds=60)


def failed(round_id: UUID, attempt: int = 1, *, will_retry: bool = False) -> TrainingFailed:
    return TrainingFailed(
        round_id=round_id, attempt=attempt, rule="not-finite", reason="The loss is NaN.", will_retry=will_retry
    )


def released(round_id: UUID, *datasets: DatasetRef, outcome: Literal["waits", "failed"] = "waits") -> TrainingReleased:
    return TrainingReleased(
        round_id=round_id,
        datasets=datasets,
        outcome=outcome,
        rule="bisecting" if outcome == "waits" else "isolated",
        reason="One of the datasets is looked for." if outcome == "waits" else "A round with it alone failed too.",
    )


def withheld(round_id: UUID) -> ModelWithheld:
    return ModelWithheld(round_id=round_id, parent="1.0", rules=(LEARNED, FORGOT))


def published(
    round_id: UUID,
    *datasets: DatasetRef | None,
    version: str = "1.1",
    files: tuple[ModelFile, ...] = (),
) -> ModelPublished:
    """A dataset of None is a private one."""
    return ModelPublished(
        version=version,
        parent="1.0",
        round_id=round_id,
        datasets=tuple(
            TrainedDataset(
                dataset=dataset,
                title="SiC" if dataset else None,
                authors=("Demo Contributor",) if dataset else (),
                branch=f"branch-{number}",
                weight=0.5,
                new=True,
                energy_rmse_mev_per_atom=10,
                force_rmse_mev_per_angstrom=100,
            )
            for number, dataset in enumerate(datasets)
        ),
        contributors=("Demo Contributor",),
        files=files,
        branches=errors(100),
        standard_score=0.2,
        rules=(LEARNED,),
        checks=(CONSERVES,),
        preset="laptop",
        wall_seconds=60,
    )
