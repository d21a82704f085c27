"""The whole dry run: pack, read, judge; and what the platform would say."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

from contracts.artifacts import DatasetManifest
from contracts.base import LevelOfTheory
from contracts.events import DatasetRejected, DatasetValidated
from frames.frame import Frame
from ingest.domain import Progress
from kit.blobs import Blobs
from metric.domain.coverage import Prediction
from metric.domain.run_settings import RunSettings
from metric.judging import CurrentModel, Judge, LoadedModel, Task, Verdict
from metric.prediction import PredictionPool
from potluck import resources, wording

from potluck_check.asking import Asked
from potluck_check.packing import packed
from potluck_check.reading import read

Outcome = Literal["passed", "covered", "not-sound", "sound", "rejected"]
_PATIENCE_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be checked and how; no model: whether it is new is not asked."""

    source: Path
    format: str
    declared: LevelOfTheory | None
    settings: RunSettings
    model: Asked | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform would say. `outcome` is 'sound' when no model was asked."""

    outcome: Outcome
    rejected: DatasetRejected | None = None
    validated: DatasetValidated | None = None
    manifest: DatasetManifest | None = None
    verdict: Verdict | None = None


async def check(wanted: Wanted, folder: Path, save: Path | None, say: Callable[[str], None]) -> Answer:
    """Everything is done below `folder`, an empty one; report, pictures and tables are copied to `save`.

    Raises PotluckError for what the contributor can put right, IngestBroken for what this machine lacks.
    """
    blobs = Blobs((folder / "blobs").as_uri())
    if wanted.source.is_dir():
        say("packing")
    archive = packed(wanted.source, folder)
    say("starting")

    def tell(progress: Progress) -> None:
        say(wording.progress(resources.Progress(**asdict(progress))))

    event = await read(archive, wanted.format, wanted.declared, blobs, folder, tell)
    if isinstance(event, DatasetRejected):
        return Answer("rejected", rejected=event)
    say("checking every frame")
    manifest = await blobs.get_model(event.manifest.key, DatasetManifest)
    verdict = await _judge(event, wanted, blobs, folder, say)
    if save is not None:
        await _save(verdict, blobs, save)
    outcome: Outcome = verdict.judgement.outcome
    if wanted.model is None and outcome == "passed":
        outcome = "sound"
    return Answer(outcome, validated=event, manifest=manifest, verdict=verdict)


async def _judge(
    event: DatasetValidated, wanted: Wanted, blobs: Blobs, folder: Path, say: Callable[[str], None]
) -> Verdict:
    model = wanted.model
    current = await model.current() if model is not None else None
    task = Task(uuid4(), event.manifest, current, wanted.settings, try_training=False)
    if model is None:
        return await Judge(_NoModel(), _NoModel(), blobs, folder).judge(task)
    say(f"asking DPA {model.version}")
    async with PredictionPool(1, 1, _PATIENCE_SECONDS) as predictions:
        return await Judge(model, predictions, blobs, folder).judge(task)


class _NoModel:
    """Stands where models are fetched and asked: a task without a model does neither."""

    async def current(self) -> None:
        return None

    async def load(self, model: CurrentModel) -> LoadedModel:
        raise LookupError(f"model {model.version} was not fetched")

    async def predict(self, model: Path, branch: str, frames: Sequence[Frame], known: Path | None = None) -> Prediction:
        raise LookupError(f"{model.name} was not fetched")


async def _save(verdict: Verdict, blobs: Blobs, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = verdict.report
    for name, ref in {**report.pictures, **report.tables, "report.json": verdict.blob}.items():
        (folder / name).write_bytes(await blobs.get_bytes(ref.key))
