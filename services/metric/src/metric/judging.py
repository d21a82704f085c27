"""One judgement, from the dataset in storage to the report in storage; the same for a run and for its repetition."""

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
from contracts.artifacts import DatasetManifest, LearningGain, MetricReport, ModelManifest
from contracts.base import BlobRef
from frames import store as lmdb
from frames.frame import Frame
from frames.pairs import pairs_of_manifest
from kit.blobs import Blobs, file_sha256
from kit.logs import get_logger

from metric.domain.coverage import KnownBranch, Prediction
from metric.domain.origin import origin_of
from metric.domain.records import SPLITS, Split
from metric.domain.report import Judgement, Known, judge
from metric.domain.run_settings import RunSettings, Share
from metric.domain.sampling import sample_by_group
from metric.domain.survey import Survey, Surveyed, survey
from metric.domain.table import by_position, table
from metric.fetch import artifact
from metric.pictures.gallery import pictures, with_png
from metric.reference import outline
from metric.tables import write_tables
from metric.trained import trained_frames

log = get_logger(__name__)

_VERSIONS = ("deepmd-kit", "torch", "numpy", "potluck-metric")
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class CurrentModel:
    """A published model as the registry names it."""

    version: str
    manifest: BlobRef


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The same with the release file on disk.

    branches  what frames are held against
    pairs     of elements that trained it
    manifest  how it was trained; None where only what is published of a model is known, as in a dry run
    """

    model: CurrentModel
    release: Path
    branches: tuple[KnownBranch, ...]
    pairs: frozenset[str]
    manifest: ModelManifest | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be judged, by what, and how; `run_id` names the folder of what is written.

    Nothing of a verdict depends on `try_training`: a repetition does without.
    """

    run_id: UUID
    dataset_manifest: BlobRef
    model: CurrentModel | None
    settings: RunSettings
    try_training: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, with the report and all that it lists already in storage."""

    judgement: Judgement
    report: MetricReport
    blob: BlobRef


class Models(Protocol):
    async def current(self) -> CurrentModel | None: ...

    async def load(self, model: CurrentModel) -> LoadedModel: ...


class Predictions(Protocol):
    async def predict(
        self, model: Path, branch: str, frames: Sequence[Frame], known: Path | None = None
    ) -> Prediction: ...


class Gains(Protocol):
    async def tried(
        self, loaded: LoadedModel, nearest: str, manifest: DatasetManifest, left_out: frozenset[int]
    ) -> LearningGain | None: ...


class Training(Protocol):
    async def learned(self, loaded: LoadedModel, share: Share, seed: int) -> Path | None: ...


class Judge:
    """Survey, sample, predict, decide, draw."""

    def __init__(
        self,
        models: Models,
        predictions: Predictions,
        blobs: Blobs,
        folder: Path,
        training: Training | None = None,
        gains: Gains | None = None,
    ) -> None:
        """Without `training` nothing is said of how far frames lie from training data, without `gains` nothing of what
        the model would gain from them.
        """
        self._models = models
        self._predictions = predictions
        self._training = training
        self._gains = gains
        self._blobs = blobs
        self._folder = folder

    async def judge(self, task: Task) -> Verdict:
        """Raises whatever is wrong on our side (storage, model, prediction process): then there is no verdict."""
        manifest = await artifact(self._blobs, task.dataset_manifest, DatasetManifest)
        settings = task.settings
        with tempfile.TemporaryDirectory(prefix="dataset-", dir=self._folder) as name:
            files = await self._fetch(manifest, Path(name))
            found = await asyncio.to_thread(survey, _frames(files), settings.limits, origin_of(manifest))
            sampled = _sample(found, settings)
            frames = await asyncio.to_thread(_read, files, sampled)
        loaded = await self._models.load(task.model) if task.model is not None else None
        learned = await self._learned(loaded, settings) if loaded is not None else None
        predictions = await self._predict(loaded, frames, learned) if loaded is not None and frames else []
        known = _known(loaded, learned) if loaded is not None else None
        model = loaded.manifest if loaded is not None else None
        trained = await trained_frames(self._blobs, manifest, model, sampled, frames)
        judgement = await asyncio.to_thread(
            judge,
            found,
            sampled,
            frames,
            known,
            predictions,
            settings.limits,
            settings.seed,
            pairs_of_manifest(manifest) if manifest.element_pairs else frozenset(),
            trained,
        )
        report = _report(task, manifest, judgement, predictions[0].device if predictions else "cpu")
        if self._gains is not None and task.try_training and loaded is not None and report.nearest_branch is not None:
            gain = await self._gains.tried(loaded, report.nearest_branch, manifest, _failed(report, "train"))
            report = report.model_copy(update={"learning_gain": gain})
        report, blob = await self._store(task.run_id, manifest, found, report)
        log.info(
            "dataset-judged",
            dataset=str(manifest.dataset),
            run_id=str(task.run_id),
            outcome=judgement.outcome,
            coverage=judgement.coverage,
            nearest_branch=report.nearest_branch,
            frames=len(found.frames),
            failed_frames=judgement.failed_frames,
        )
        return Verdict(judgement, report, blob)

    async def _fetch(self, manifest: DatasetManifest, folder: Path) -> list[tuple[Split, Path]]:
        blobs: list[tuple[Split, BlobRef | None]] = [("train", manifest.train), ("held-out", manifest.held_out)]
        files: list[tuple[Split, Path]] = []
        for split, ref in blobs:
            if ref is not None:
                path = folder / f"{split}.lmdb"
                await self._blobs.get_file(ref, path / lmdb.DATA_FILE)
                files.append((split, path))
        return files

    async def _learned(self, loaded: LoadedModel, settings: RunSettings) -> Path | None:
        if self._training is None:
            return None
        return await self._training.learned(loaded, settings.share, settings.seed)

    async def _predict(self, loaded: LoadedModel, frames: Sequence[Frame], learned: Path | None) -> list[Prediction]:
        """One a branch; the first tells how close the frames are to training frames: that part is shared by all."""
        return [
            await self._predictions.predict(loaded.release, branch.name, frames, learned if number == 0 else None)
            for number, branch in enumerate(loaded.branches)
        ]

    async def _store(
        self, run_id: UUID, manifest: DatasetManifest, found: Survey, report: MetricReport
    ) -> tuple[MetricReport, BlobRef]:
        """The report with its tables and pictures, and where it is."""
        tables = await self._store_tables(run_id, found, report)
        images = await asyncio.to_thread(lambda: with_png(pictures(report, manifest)))
        drawn = {name: await self._put(run_id, name, data) for name, data in images.items()}
        complete = report.model_copy(update={"pictures": drawn, "tables": tables})
        return complete, await self._put(run_id, "report.json", complete.model_dump_json().encode())

    async def _store_tables(self, run_id: UUID, found: Survey, report: MetricReport) -> dict[str, BlobRef]:
        judged = by_position(found, report.verdicts, report.threshold_ev_per_angstrom, report.nearest_branch)
        about = {
            "dataset": str(report.dataset),
            "run_id": str(run_id),
            "model_version": report.model_version or "",
            "content_sha256": report.dataset_content_sha256 or "",
        }
        stored = {}
        with tempfile.TemporaryDirectory(prefix="tables-", dir=self._folder) as name:
            files = await asyncio.to_thread(write_tables, table(found, judged), Path(name), about)
            for file, path in files.items():
                digest = await asyncio.to_thread(file_sha256, path)
                key = keys.metric_file(run_id, f"{digest[:_DIGITS]}-{file}")
                stored[file] = await self._blobs.adopt_file(key, path, digest)
        return stored

    async def _put(self, run_id: UUID, name: str, data: bytes) -> BlobRef:
        """Named by content too: what a second delivery writes never changes what the first one has told."""
        digest = hashlib.sha256(data).hexdigest()[:_DIGITS]
        return await self._blobs.put_bytes(keys.metric_file(run_id, f"{digest}-{name}"), data)


def _failed(report: MetricReport, split: Split) -> frozenset[int]:
    return frozenset(one.index for one in report.verdicts if one.split == split and one.verdict == "failed")


def _known(loaded: LoadedModel, learned: Path | None) -> Known:
    seen = outline(learned) if learned is not None else None
    return Known(loaded.model.version, loaded.branches, loaded.pairs, seen)


def _sample(found: Survey, settings: RunSettings) -> list[Surveyed]:
    """Frames that a model can be held against, at most `max_frames`, shared out by composition."""
    records, possible = found.records, found.possible()
    groups = [records.formulas[records.rows["formula"][position]] for position in possible]
    chosen = sample_by_group(groups, settings.max_frames, settings.seed)
    return [found.frames[possible[number]] for number in chosen]


def _frames(files: Sequence[tuple[Split, Path]]) -> Iterator[tuple[Split, int, Frame]]:
    for split, path in files:
        for index, frame in enumerate(lmdb.iterate(path)):
            yield split, index, frame


def _read(files: Sequence[tuple[Split, Path]], sampled: Sequence[Surveyed]) -> list[Frame]:
    """The sampled frames, in their order: the order of the dataset."""
    wanted = {split: frozenset(one.index for one in sampled if one.split == split) for split in SPLITS}
    return [frame for split, path in files for frame in lmdb.iterate(path, wanted[split])]


def _report(task: Task, manifest: DatasetManifest, judgement: Judgement, device: str) -> MetricReport:
    near, model = judgement.nearest, task.model
    return MetricReport(
        dataset=manifest.dataset,
        run_id=task.run_id,
        model_version=model.version if model is not None else None,
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
        new_element_pairs=judgement.new_element_pairs,
        force_slope=judgement.agreement.slope if judgement.agreement is not None else None,
        force_correlation=judgement.agreement.correlation if judgement.agreement is not None else None,
        parity=judgement.parity,
        max_force_error_histogram=judgement.histogram,
        verdicts=judgement.verdicts,
        map=judgement.map,
        novelty=judgement.novelty,
        pictures={},
        settings=task.settings.numbers(),
        versions={name: version(name) for name in _VERSIONS},
        dataset_content_sha256=manifest.content_sha256,
        dataset_manifest=task.dataset_manifest,
        model_manifest=model.manifest if model is not None else None,
        seed=task.settings.seed,
        device=device,
    )
