"""Use cases: begin a run, judge a dataset, finish a run."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol
from uuid import UUID

from contracts import keys
from contracts.artifacts import DatasetManifest, MetricReport, ModelManifest
from contracts.base import BlobRef, DatasetRef
from contracts.events import DatasetMetricNotPassed, DatasetMetricPassed, DatasetMetricStarted, DatasetValidated
from frames import store as lmdb
from frames.frame import Frame
from kit.blobs import Blobs
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection

from metric.domain.coverage import Prediction
from metric.domain.limits import Limits
from metric.domain.report import Judgement, Known, judge, settings_of
from metric.domain.sampling import sample_by_group
from metric.domain.survey import Split, Survey, Surveyed, survey
from metric.domain.verdict import Outcome
from metric.fetch import artifact
from metric.pictures.gallery import pictures

log = get_logger(__name__)

_VERSIONS = ("deepmd-kit", "torch", "numpy", "potluck-metric")


@dataclass(frozen=True, slots=True)
class CurrentModel:
    """A published model as the registry names it."""

    version: str
    manifest: BlobRef


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The same with its manifest and the release file on disk."""

    model: CurrentModel
    manifest: ModelManifest
    release: Path


@dataclass(frozen=True, slots=True)
class Run:
    """One judgement of one dataset, pinned to the model that was current when it began."""

    run_id: UUID
    model: CurrentModel | None
    finished: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run found, with its report already in storage."""

    judgement: Judgement
    report: BlobRef


class Models(Protocol):
    async def current(self) -> CurrentModel | None: ...

    async def load(self, model: CurrentModel) -> LoadedModel: ...


class Predictions(Protocol):
    async def predict(self, model: Path, branch: str, frames: Sequence[Frame]) -> Prediction: ...


class Runs(Protocol):
    async def begin(
        self, connection: Connection, event_id: UUID, dataset: DatasetRef, model: CurrentModel | None
    ) -> tuple[Run, bool]: ...

    async def finish(
        self,
        connection: Connection,
        run_id: UUID,
        outcome: Outcome,
        coverage: float,
        failed_frames: int,
        report: BlobRef,
    ) -> bool: ...


class Metric:
    """Judges validated datasets. `begin` and `finish` run inside their caller's transaction, `judge` in none."""

    def __init__(
        self,
        runs: Runs,
        models: Models,
        predictions: Predictions,
        blobs: Blobs,
        folder: Path,
        limits: Limits,
        max_frames: int,
        seed: int,
    ) -> None:
        self._runs = runs
        self._models = models
        self._predictions = predictions
        self._blobs = blobs
        self._folder = folder
        self._limits = limits
        self._max_frames = max_frames
        self._seed = seed

    async def current_model(self) -> CurrentModel | None:
        """What a run that begins now is to be judged by."""
        return await self._models.current()

    async def begin(
        self, connection: Connection, event_id: UUID, event: DatasetValidated, model: CurrentModel | None
    ) -> Run:
        """The run of this event: begun now, or by an earlier delivery, with the model of that time."""
        run, is_new = await self._runs.begin(connection, event_id, event.dataset, model)
        if is_new:
            pinned = model.version if model is not None else None
            await emit(connection, DatasetMetricStarted(dataset=event.dataset, run_id=run.run_id, model_version=pinned))
        return run

    async def judge(self, run: Run, event: DatasetValidated) -> Verdict:
        """Survey, sample, predict, decide, draw; report and pictures are in storage afterwards.

        Raises whatever is wrong on our side (storage, model, prediction process): then there is no verdict.
        """
        manifest = await artifact(self._blobs, event.manifest, DatasetManifest)
        with tempfile.TemporaryDirectory(prefix="dataset-", dir=self._folder) as name:
            files = await self._fetch(manifest, Path(name))
            found = await asyncio.to_thread(survey, _frames(files), self._limits)
            sampled = self._sample(found)
            frames = await asyncio.to_thread(_read, files, sampled)
        loaded = await self._models.load(run.model) if run.model is not None else None
        predictions = await self._predict(loaded, frames) if loaded is not None and frames else []
        known = Known(loaded.model.version, loaded.manifest.branches) if loaded is not None else None
        judgement = await asyncio.to_thread(judge, found, sampled, frames, known, predictions, self._limits, self._seed)
        report = await self._store_report(run, manifest, judgement)
        log.info(
            "dataset-judged",
            dataset=str(event.dataset),
            outcome=judgement.outcome,
            coverage=judgement.coverage,
            nearest_branch=judgement.nearest.coverage.branch if judgement.nearest is not None else None,
            frames=len(found.frames),
            failed_frames=judgement.failed_frames,
        )
        return Verdict(judgement, report)

    async def finish(self, connection: Connection, run: Run, event: DatasetValidated, verdict: Verdict) -> None:
        """Write the outcome and tell it. A run that was finished already stays as it is."""
        judgement = verdict.judgement
        written = await self._runs.finish(
            connection,
            run.run_id,
            judgement.outcome,
            judgement.coverage,
            judgement.failed_frames,
            verdict.report,
        )
        if written:
            await emit(connection, _outcome_event(run, event, verdict))

    async def _fetch(self, manifest: DatasetManifest, folder: Path) -> list[tuple[Split, Path]]:
        blobs: list[tuple[Split, BlobRef | None]] = [("train", manifest.train), ("held-out", manifest.held_out)]
        files: list[tuple[Split, Path]] = []
        for split, ref in blobs:
            if ref is not None:
                path = folder / f"{split}.lmdb"
                await self._blobs.get_file(ref, path / lmdb.DATA_FILE)
                files.append((split, path))
        return files

    def _sample(self, found: Survey) -> list[Surveyed]:
        """Frames that a model can be held against, at most `max_frames`, shared out by composition."""
        possible = [one for one in found.frames if not one.impossible]
        chosen = sample_by_group([one.formula for one in possible], self._max_frames, self._seed)
        return [possible[position] for position in chosen]

    async def _predict(self, loaded: LoadedModel, frames: Sequence[Frame]) -> list[Prediction]:
        return [
            await self._predictions.predict(loaded.release, branch.name, frames) for branch in loaded.manifest.branches
        ]

    async def _store_report(self, run: Run, manifest: DatasetManifest, judgement: Judgement) -> BlobRef:
        settings = settings_of(self._limits, self._seed, self._max_frames)
        report = _report(run, manifest, judgement, settings)
        drawn = {name: await self._put(run.run_id, name, data) for name, data in pictures(report, manifest).items()}
        complete = report.model_copy(update={"pictures": drawn})
        return await self._put(run.run_id, "report.json", complete.model_dump_json().encode())

    async def _put(self, run_id: UUID, name: str, data: bytes) -> BlobRef:
        """Named by content too: what a second delivery writes never changes what the first one has told."""
        digest = hashlib.sha256(data).hexdigest()[:16]
        return await self._blobs.put_bytes(keys.metric_file(run_id, f"{digest}-{name}"), data)


def _frames(files: Sequence[tuple[Split, Path]]) -> Iterator[tuple[Split, int, Frame]]:
    for split, path in files:
        for index, frame in enumerate(lmdb.iterate(path)):
            yield split, index, frame


def _read(files: Sequence[tuple[Split, Path]], sampled: Sequence[Surveyed]) -> list[Frame]:
    """The sampled frames, in their order: the order of the dataset."""
    wanted = {(one.split, one.index) for one in sampled}
    return [frame for split, index, frame in _frames(files) if (split, index) in wanted]


def _report(run: Run, manifest: DatasetManifest, judgement: Judgement, settings: dict[str, float]) -> MetricReport:
    near = judgement.nearest
    return MetricReport(
        dataset=manifest.dataset,
        run_id=run.run_id,
        model_version=run.model.version if run.model is not None else None,
        frames_judged=judgement.frames_judged,
        sound=judgement.sound,
        new=judgement.new,
        checks=judgement.checks,
        coverage=judgement.coverage,
        threshold_ev_per_angstrom=near.coverage.threshold_ev_per_angstrom if near is not None else None,
        branches=tuple(branch.coverage for branch in judgement.branches),
        nearest_branch=near.coverage.branch if near is not None else None,
        energy_shift_ev=judgement.energy_shift_ev,
        new_elements=judgement.new_elements,
        force_slope=judgement.agreement.slope if judgement.agreement is not None else None,
        force_correlation=judgement.agreement.correlation if judgement.agreement is not None else None,
        parity=judgement.parity,
        max_force_error_histogram=judgement.histogram,
        verdicts=judgement.verdicts,
        pictures={},
        settings=settings,
        versions={name: version(name) for name in _VERSIONS},
    )


def _outcome_event(run: Run, event: DatasetValidated, verdict: Verdict) -> DatasetMetricPassed | DatasetMetricNotPassed:
    judgement = verdict.judgement
    near = judgement.nearest.coverage if judgement.nearest is not None else None
    facts = {
        "dataset": event.dataset,
        "run_id": run.run_id,
        "credit": event.credit,
        "dataset_manifest": event.manifest,
        "model_version": run.model.version if run.model is not None else None,
        "report": verdict.report,
        "sound": judgement.sound,
        "new": judgement.new,
        "coverage": judgement.coverage,
        "nearest_branch": near.branch if near is not None else None,
        "force_rmse_zero_shot_mev_per_angstrom": near.force_rmse_mev_per_angstrom if near is not None else None,
        "energy_rmse_zero_shot_mev_per_atom": near.energy_rmse_mev_per_atom if near is not None else None,
        "energy_shift_ev": judgement.energy_shift_ev,
        "new_elements": judgement.new_elements,
        "failed_frames": judgement.failed_frames,
    }
    if judgement.outcome == "passed":
        return DatasetMetricPassed.model_validate(facts)
    return DatasetMetricNotPassed.model_validate({**facts, "outcome": judgement.outcome})
