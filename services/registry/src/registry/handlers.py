"""Events in: decode, transaction, one use case."""

from contracts.artifacts import DatasetManifest
from contracts.envelope import Event
from contracts.events import DatasetMadePublic, DatasetMetricPassed, DatasetWithdrawn
from kit.blobs import Blobs
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from kit.telemetry import current_traceparent

from registry.operators.operations import Operations
from registry.rounds.service import Rounds


class Handlers:
    """Consumers of the registry."""

    def __init__(self, database: Database, blobs: Blobs, rounds: Rounds, operations: Operations) -> None:
        self._database = database
        self._blobs = blobs
        self._rounds = rounds
        self._operations = operations

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

    async def on_dataset_withdrawn(self, event: Event, delivery: Delivery) -> None:
        """No round to come trains on it, and the versions that it trained are marked. Repeating it changes nothing."""
        if not isinstance(event, DatasetWithdrawn):
            raise Poison(f"{delivery.durable} expects DatasetWithdrawn, got {type(event).__name__}")
        async with self._database.transaction() as conn:
            if await first_time(conn, delivery.durable, delivery.attributes.id):
                await self._operations.withdrawn_by_contributor(conn, event.dataset, event.reason)

    async def on_dataset_made_public(self, event: Event, delivery: Delivery) -> None:
        """Models to come name it. Repeating it changes nothing."""
        if not isinstance(event, DatasetMadePublic):
            raise Poison(f"{delivery.durable} expects DatasetMadePublic, got {type(event).__name__}")
        async with self._database.transaction() as conn:
            if await first_time(conn, delivery.durable, delivery.attributes.id):
                await self._operations.made_public(conn, event.dataset, event.credit)
