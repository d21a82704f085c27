"""Events in: dataset.uploaded."""

from contracts.envelope import Event
from contracts.events import DatasetUploaded
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from kit.logs import get_logger
from kit.outbox import emit

from ingest.service import Reading
from ingest.store import Store

log = get_logger(__name__)


class Handlers:
    """Decode → read (long, outside any transaction) → state, inbox row and outbox row in one transaction."""

    def __init__(self, database: Database, store: Store, reading: Reading) -> None:
        self._database = database
        self._store = store
        self._reading = reading

    async def on_dataset_uploaded(self, event: Event, delivery: Delivery) -> None:
        if not isinstance(event, DatasetUploaded):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        async with self._database.transaction() as connection:
            attempt = await self._store.begin(connection, event.dataset)
        if attempt is None:
            log.info("dataset-known", dataset=str(event.dataset))
            return
        log.info("dataset-reading", dataset=str(event.dataset), attempt=attempt, format=event.format)
        outcome = await self._reading.read(event)
        async with self._database.transaction() as connection:
            if not await first_time(connection, delivery.durable, delivery.attributes.id):
                return
            if await self._store.settle(connection, outcome):
                await emit(connection, outcome)
