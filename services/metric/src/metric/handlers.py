"""Events in: begin in one transaction, work in none, finish in another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from contracts.envelope import Event
from contracts.events import DatasetValidated, MetricRerunRequested, PredictionFinished, PredictionStructureRead
from kit.bus import Delivery, Poison, is_infrastructure
from kit.db import Database
from kit.inbox import first_time
from kit.logs import get_logger
from kit.outbox import emit
from opentelemetry import trace
from psycopg_pool import PoolTimeout

from metric.service import Metric, PastRun, Repetition, Run, not_repeated
from metric.structures import Structures, not_predicted

tracer = trace.get_tracer("metric")
log = get_logger(__name__)

OUR_SIDE = "The run could not be repeated, which is on our side,"


class Handlers:
    """Consumers of the metric."""

    def __init__(self, database: Database, metric: Metric, max_attempts: int) -> None:
        self._database = database
        self._metric = metric
        self._max_attempts = max_attempts

    async def on_dataset_validated(self, event: Event, delivery: Delivery) -> None:
        """Judge the dataset, once. A delivery that died on the way is taken up by the next one."""
        if not isinstance(event, DatasetValidated):
            raise Poison(f"{delivery.durable} expects DatasetValidated, got {type(event).__name__}")
        event_id = delivery.attributes.id
        model = await self._metric.current_model()
        async with self._database.transaction() as connection:
            run = await self._metric.begin(connection, event_id, event, model)
        if run.finished:
            return
        async with self._counted(run):
            with tracer.start_as_current_span("metric.judge"):
                verdict = await self._metric.judge(run, event)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, event_id):
                await self._metric.finish(connection, run, event, verdict)

    async def on_rerun_requested(self, event: Event, delivery: Delivery) -> None:
        """Repeat a run, compare, tell; the run itself and its dataset stay as they are.

        A dead letter would hold the dataset up for what concerns its repetition alone: the last try tells instead.
        """
        if not isinstance(event, MetricRerunRequested):
            raise Poison(f"{delivery.durable} expects MetricRerunRequested, got {type(event).__name__}")
        async with self._database.transaction() as connection:
            past = await self._metric.past_run(connection, event.run_id)
        repetition = await self._repeat(past, event, delivery.attempt)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await self._metric.tell(connection, repetition)

    async def _repeat(self, past: PastRun | None, event: MetricRerunRequested, attempt: int) -> Repetition:
        if attempt > 2 * self._max_attempts:
            return not_repeated(event, f"{OUR_SIDE} in {attempt - 1} tries: workers died over it, or could not go on.")
        try:
            with tracer.start_as_current_span("metric.repeat"):
                return await self._metric.repeat(past, event)
        except Exception as error:
            if is_infrastructure(error) or attempt < self._max_attempts:
                raise
            log.exception("run-not-repeated", run_id=str(event.run_id), rerun_id=str(event.rerun_id))
            return not_repeated(event, f"{OUR_SIDE} in {attempt} tries: {error}.")

    @asynccontextmanager
    async def _counted(self, run: Run) -> AsyncIterator[None]:
        """However the block ends, short of a kill, the try is over; a kill leaves it open, and that is counted."""
        try:
            yield
        except BaseException:
            try:
                async with self._database.transaction() as connection:
                    await self._metric.end_tries(connection, run)
            except (psycopg.OperationalError, PoolTimeout) as error:
                log.warning("try-not-ended", run_id=str(run.run_id), error=repr(error))
            raise


class StructureHandlers:
    """Predicts structures that somebody sent."""

    def __init__(self, database: Database, structures: Structures, max_attempts: int) -> None:
        self._database = database
        self._structures = structures
        self._max_attempts = max_attempts

    async def on_structure_read(self, event: Event, delivery: Delivery) -> None:
        """Whoever waits for it is told in any case: the last try tells that it failed."""
        if not isinstance(event, PredictionStructureRead):
            raise Poison(f"{delivery.durable} expects PredictionStructureRead, got {type(event).__name__}")
        outcome = await self._predict(event, delivery.attempt)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await emit(connection, outcome)

    async def _predict(self, event: PredictionStructureRead, attempt: int) -> PredictionFinished:
        if attempt > 2 * self._max_attempts:
            return not_predicted(event, "It could not be predicted, which is on our side.", "Try again later.")
        try:
            with tracer.start_as_current_span("metric.predict-structure"):
                return await self._structures.predict(event)
        except Exception as error:
            if is_infrastructure(error) or attempt < self._max_attempts:
                raise
            log.exception("structure-not-predicted", prediction_id=str(event.prediction_id))
            return not_predicted(event, "It could not be predicted, which is on our side.", "Try again later.")
