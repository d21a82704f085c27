"""Events in: begin in one transaction, work in none, finish in another."""

from contracts.envelope import Event
from contracts.events import DatasetValidated
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from opentelemetry import trace

from metric.service import Metric

tracer = trace.get_tracer("metric")


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
        with tracer.start_as_current_span("metric.judge"):
            verdict = await self._metric.judge(run, event)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, event_id):
                await self._metric.finish(connection, run, event, verdict)
