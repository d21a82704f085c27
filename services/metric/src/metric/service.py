"""Use cases: begin a run, judge a dataset, finish a run; repeat a run and compare."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from contracts.artifacts import MetricReport
from contracts.base import BlobRef
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetValidated,
    MetricRerunFinished,
    MetricRerunRequested,
)
from kit.blobs import BlobCorrupt, BlobMissing, Blobs
from kit.bus import Poison
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection

from metric.domain.comparison import LISTED, Comparison, compare, in_words
from metric.domain.run_settings import RunSettings, stored_settings
from metric.domain.verdict import Outcome
from metric.fetch import artifact
from metric.judging import CurrentModel, Judge, Models, Task, Verdict

log = get_logger(__name__)

MOST_DEATHS = 4
"""Workers that may die over a dataset, one after the other, before it is set aside."""


@dataclass(frozen=True, slots=True)
class Run:
    """One judgement of one dataset, pinned to the model that was current when it began.

    died  tries that began and never ended, one after the other: their workers were killed
    """

    run_id: UUID
    model: CurrentModel | None
    finished: bool
    died: int = 0


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as a repetition finds it. What is None is not there: not finished, or from before it was kept."""

    run_id: UUID
    dataset_manifest: BlobRef | None
    model: CurrentModel | None
    outcome: Outcome | None
    report: BlobRef | None


@dataclass(frozen=True, slots=True)
class Repetition:
    """What is to be told of a repetition; `comparison` is None when there was nothing to compare."""

    event: MetricRerunFinished
    comparison: Comparison | None


class Runs(Protocol):
    async def begin(
        self, connection: Connection, event_id: UUID, event: DatasetValidated, model: CurrentModel | None
    ) -> tuple[Run, bool]: ...

    async def end_tries(self, connection: Connection, run_id: UUID) -> None: ...

    async def finish(self, connection: Connection, run_id: UUID, verdict: Verdict) -> bool: ...

    async def past_run(self, connection: Connection, run_id: UUID) -> PastRun | None: ...

    async def add_rerun(self, connection: Connection, event: MetricRerunFinished, differing: int) -> bool: ...


class Metric:
    """Judges validated datasets. What takes a connection runs inside its caller's transaction, the rest in none."""

    def __init__(self, runs: Runs, models: Models, judge: Judge, blobs: Blobs, settings: RunSettings) -> None:
        self._runs = runs
        self._models = models
        self._judge = judge
        self._blobs = blobs
        self._settings = settings

    async def current_model(self) -> CurrentModel | None:
        """What a run that begins now is to be judged by."""
        return await self._models.current()

    async def begin(
        self, connection: Connection, event_id: UUID, event: DatasetValidated, model: CurrentModel | None
    ) -> Run:
        """The run of this event: begun now, or by an earlier delivery, with the model of that time."""
        run, is_new = await self._runs.begin(connection, event_id, event, model)
        if is_new:
            pinned = model.version if model is not None else None
            await emit(connection, DatasetMetricStarted(dataset=event.dataset, run_id=run.run_id, model_version=pinned))
        return run

    async def judge(self, run: Run, event: DatasetValidated) -> Verdict:
        """Survey, sample, predict, decide, draw; report, tables and pictures are in storage afterwards.

        Raises Poison for a dataset over which worker after worker was killed, and whatever is wrong on our side
        (storage, model, prediction process): then there is no verdict.
        """
        if run.died >= MOST_DEATHS:
            raise Poison(f"{run.died} metric workers died one after the other while they judged this dataset")
        return await self._judge.judge(Task(run.run_id, event.manifest, run.model, self._settings))

    async def end_tries(self, connection: Connection, run: Run) -> None:
        """A try failed, but its worker lives: it does not count as a death."""
        await self._runs.end_tries(connection, run.run_id)

    async def finish(self, connection: Connection, run: Run, event: DatasetValidated, verdict: Verdict) -> None:
        """Write the outcome and tell it. A run that was finished already stays as it is."""
        if await self._runs.finish(connection, run.run_id, verdict):
            await emit(connection, _outcome_event(run, event, verdict))

    async def past_run(self, connection: Connection, run_id: UUID) -> PastRun | None:
        return await self._runs.past_run(connection, run_id)

    async def repeat(self, past: PastRun | None, request: MetricRerunRequested) -> Repetition:
        """The run again with its own dataset, model, settings and seed, and the two reports compared.

        What can never be repeated is told so; what is wrong on our side for now is raised, as in `judge`.
        """
        if past is None:
            return not_repeated(request, "There is no metric run with this id.")
        if past.report is None or past.outcome is None:
            return not_repeated(request, "This run has not finished yet: there is nothing to compare with.")
        if past.dataset_manifest is None:
            return not_repeated(request, "This run was made before runs kept which dataset they judged.")
        try:
            before = await artifact(self._blobs, past.report, MetricReport)
            settings = stored_settings(before.settings, self._settings)
            task = Task(request.rerun_id, past.dataset_manifest, past.model, settings, try_training=False)
            after = await self._judge.judge(task)
        except BlobMissing as error:
            return not_repeated(request, f"What this run was made from is no longer in storage: {error}.")
        except BlobCorrupt as error:
            return not_repeated(request, f"What this run was made from is not what it was: {error}.")
        found = compare(before, after.report, past.outcome, after.judgement.outcome)
        log.info("run-repeated", run_id=str(past.run_id), rerun_id=str(request.rerun_id), same=found.same)
        return Repetition(_repeated(request, found, after.blob), found)

    async def tell(self, connection: Connection, repetition: Repetition) -> None:
        """Keep and tell what came of a repetition, once."""
        differing = len(repetition.comparison.differences) if repetition.comparison is not None else 0
        if await self._runs.add_rerun(connection, repetition.event, differing):
            await emit(connection, repetition.event)


def not_repeated(request: MetricRerunRequested, sentence: str) -> Repetition:
    """Nothing was compared; `sentence` says why."""
    event = MetricRerunFinished(
        dataset=request.dataset,
        rerun_id=request.rerun_id,
        run_id=request.run_id,
        repeated=False,
        same=False,
        sentence=sentence,
    )
    return Repetition(event, None)


def _repeated(request: MetricRerunRequested, found: Comparison, report: BlobRef) -> MetricRerunFinished:
    return MetricRerunFinished(
        dataset=request.dataset,
        rerun_id=request.rerun_id,
        run_id=request.run_id,
        same=found.same,
        sentence=in_words(found),
        outcome_before=found.outcome_before,
        outcome_after=found.outcome_after,
        numbers=found.numbers,
        largest_relative_difference=found.largest_relative_difference,
        differences=found.differences[:LISTED],
        report=report,
        versions_changed=found.versions_changed,
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
        "report": verdict.blob,
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
