"""Events in: dataset.uploaded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import psycopg
from contracts.base import DatasetRef
from contracts.envelope import Event
from contracts.events import DatasetMadePublic, DatasetReading, DatasetUploaded
from frames.hashing import HashArray
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from kit.logs import get_logger
from kit.outbox import emit
from psycopg_pool import PoolTimeout

from ingest.domain import Progress, Tell
from ingest.selecting import Ask, Elsewhere, overtaken
from ingest.service import Outcome
from ingest.store import Store

log = get_logger(__name__)

_TELL_SECONDS = 1.0


class Reads(Protocol):
    """The use case: what comes of an upload."""

    async def read(self, event: DatasetUploaded, tell: Tell, ask: Ask) -> Outcome: ...


class _Overtaken(Exception):
    """Another dataset with the same frames was settled while this one was read."""


class Handlers:
    """Decode → read (long, outside any transaction) → state, inbox row and outbox row in one transaction."""

    def __init__(self, database: Database, store: Store, reading: Reads) -> None:
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

        async def ask(hashes: HashArray) -> Elsewhere:
            async with self._database.transaction() as connection:
                return await self._store.elsewhere(connection, event, hashes)

        settled = False
        while not settled:
            async with self._telling(event.dataset) as tell:
                outcome = await self._reading.read(event, tell, ask)
            try:
                await self._settle(event, outcome, delivery)
                settled = True
            except _Overtaken:
                # Read again: the split then agrees with what was settled meanwhile.
                log.info("dataset-overtaken", dataset=str(event.dataset))

    async def on_dataset_made_public(self, event: Event, delivery: Delivery) -> None:
        """Others may learn from now on that they share frames with it. Repeating it changes nothing."""
        if not isinstance(event, DatasetMadePublic):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await self._store.make_public(connection, event.dataset, event.credit.title)

    async def _settle(self, uploaded: DatasetUploaded, outcome: Outcome, delivery: Delivery) -> None:
        async with self._database.transaction() as connection:
            if not await first_time(connection, delivery.durable, delivery.attributes.id):
                return
            if not await self._store.settle(connection, outcome.event):
                return
            if outcome.selection is not None:
                newer = await self._store.joined_since(connection, outcome.selection)
                if overtaken(outcome.selection, newer):
                    raise _Overtaken
                await self._store.keep_frames(connection, uploaded, outcome.selection)
            await emit(connection, outcome.event)

    @asynccontextmanager
    async def _telling(self, dataset: DatasetRef) -> AsyncIterator[Tell]:
        """Say how far reading is, once a second; a lost word is no loss."""
        latest = _Latest()
        teller = asyncio.create_task(self._tell(dataset, latest))
        try:
            yield latest.put
        finally:
            teller.cancel()
            with suppress(asyncio.CancelledError):
                await teller

    async def _tell(self, dataset: DatasetRef, latest: "_Latest") -> None:
        told: Progress | None = None
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            if latest.progress is None or latest.progress == told:
                continue
            told = latest.progress
            try:
                async with self._database.transaction() as connection:
                    # Whoever settles the dataset waits for this: nothing is told after the outcome.
                    if await self._store.is_being_read(connection, dataset):
                        await emit(connection, _said(dataset, told))
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("progress-untold", dataset=str(dataset), error=str(error))


@dataclass
class _Latest:
    progress: Progress | None = None

    def put(self, progress: Progress) -> None:
        self.progress = progress


def _said(dataset: DatasetRef, progress: Progress) -> DatasetReading:
    return DatasetReading(
        dataset=dataset,
        step=progress.step,
        files=progress.files,
        calculations=progress.calculations,
        parsed=progress.parsed,
        frames=progress.frames,
        set_aside=progress.set_aside,
        eta_seconds=progress.eta_seconds,
    )
