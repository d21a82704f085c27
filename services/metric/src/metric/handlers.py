"""Events in: begin in one transaction, work in none, finish in another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from contracts.envelope import Event
from contracts.events import DatasetValidated, MetricRerunRequested
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from kit.logs import get_logger
from opentelemetry import trace
from psycopg_pool import PoolTimeout

from metric.service import Metric, Run

tracer = trace.get_tracer("metric")
log = get_logger(__name__)


class Handlers:
    """Consumers of the metric."""

    def __init__(self, database: Database, metric: Metric) -> None:
        self._database = database
        self._metric = metric

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
        """Repeat a run, compare, tell; the run itself and its dataset stay as they are."""
        if not isinstance(event, MetricRerunRequested):
            raise Poison(f"{delivery.durable} expects MetricRerunRequested, got {type(event).__name__}")
        async with self._database.transaction() as connection:
            past = await self._metric.past_run(connection, event.run_id)
        with tracer.start_as_current_span("metric.repeat"):
            repetition = await self._metric.repeat(past, event)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await self._metric.tell(connection, repetition)

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
