"""Events in: decode, transaction, one use case."""

from contracts.artifacts import DatasetManifest
from contracts.envelope import Event
from contracts.events import DatasetMetricPassed
from kit.blobs import Blobs
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from kit.telemetry import current_traceparent

from registry.service import Rounds


class Handlers:
    """Consumers of the registry."""

    def __init__(self, database: Database, blobs: Blobs, rounds: Rounds) -> None:
        self._database = database
        self._blobs = blobs
        self._rounds = rounds

    async def on_metric_passed(self, event: Event, delivery: Delivery) -> None:
        """The dataset joins the waiting list. Repeating it changes nothing."""
        if not isinstance(event, DatasetMetricPassed):
            raise Poison(f"{delivery.durable} expects DatasetMetricPassed, got {type(event).__name__}")
        manifest = await self._blobs.get_model(event.dataset_manifest.key, DatasetManifest)
        async with self._database.transaction() as conn:
            if await first_time(conn, delivery.durable, delivery.attributes.id):
                await self._rounds.join(
                    conn, event, manifest.train_frames, current_traceparent(), manifest.content_sha256
                )
