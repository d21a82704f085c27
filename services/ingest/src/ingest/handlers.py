"""Events in: dataset.uploaded, .shared, .made-public, .withdrawn, .metric-passed and -not-passed, standard.released."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import psycopg
from contracts.base import BlobRef, DatasetRef
from contracts.envelope import Event
from contracts.events import (
    DatasetLookedInto,
    DatasetMadePublic,
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetReading,
    DatasetRejected,
    DatasetShared,
    DatasetUploaded,
    DatasetWithdrawn,
    PredictionRefused,
    PredictionRequested,
    PredictionStructureRead,
    StandardReleased,
)
from contracts.standard import StandardDataset
from frames.hashing import HashArray, hash_array
from kit.blobs import BlobCorrupt, BlobMissing, Blobs
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.inbox import first_time
from kit.logs import get_logger
from kit.outbox import emit
from psycopg_pool import PoolTimeout

from ingest.domain import Progress, Tell
from ingest.selecting import Ask, Elsewhere, Selection, overtaken
from ingest.service import Outcome
from ingest.store import Store

log = get_logger(__name__)

_TELL_SECONDS = 1.0


class Reads(Protocol):
    """The use case: what comes of an upload."""

    async def read(self, event: DatasetUploaded, tell: Tell, ask: Ask) -> Outcome: ...


class Remembers(Protocol):
    """The frames of a dataset that is stored."""

    async def frames(self, ref: BlobRef) -> Selection: ...


class Looks(Protocol):
    """What comes of an archive that is shared only."""

    async def look(self, event: DatasetShared) -> DatasetLookedInto | DatasetRejected: ...


class ReadsStructures(Protocol):
    """What comes of a structure that somebody sent."""

    async def read(self, event: PredictionRequested) -> PredictionStructureRead | PredictionRefused: ...


class _Overtaken(Exception):
    """Another dataset with the same frames was settled, or the standard dataset grew, while this one was read."""


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

    async def on_dataset_withdrawn(self, event: Event, delivery: Delivery) -> None:
        """Its frames count as known no longer. Repeating it changes nothing."""
        if not isinstance(event, DatasetWithdrawn):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await self._store.withdraw(connection, event.dataset)
                log.info("dataset-withdrawn", dataset=str(event.dataset))

    async def _settle(self, uploaded: DatasetUploaded, outcome: Outcome, delivery: Delivery) -> None:
        async with self._database.transaction() as connection:
            if not await first_time(connection, delivery.durable, delivery.attributes.id):
                return
            if not await self._store.settle(connection, outcome.event):
                return
            if outcome.selection is not None:
                newer = await self._store.joined_since(connection, outcome.selection)
                standard = await self._store.standard_since(connection, outcome.selection)
                if overtaken(outcome.selection, newer, standard):
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


class KnownFramesHandlers:
    """Keeps right whose frames are known, and who has a say over those of others."""

    def __init__(self, database: Database, store: Store, remembering: Remembers) -> None:
        self._database = database
        self._store = store
        self._remembering = remembering

    async def on_verdict(self, event: Event, delivery: Delivery) -> None:
        """Sound or not, as of now; a later verdict turns it around."""
        if not isinstance(event, DatasetMetricPassed | DatasetMetricNotPassed):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await self._store.judged(connection, event, delivery.attributes.time)

    async def on_uploaded_before(self, event: Event, delivery: Delivery) -> None:
        """A dataset that was read before its frames were kept: they join now. Of any other there is nothing to do."""
        if not isinstance(event, DatasetUploaded):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        async with self._database.transaction() as connection:
            manifest = await self._store.unremembered(connection, event.dataset)
        if manifest is None:
            return
        try:
            selection = await self._remembering.frames(manifest)
        except (BlobMissing, BlobCorrupt) as error:
            # Its bytes are gone: nobody can train on them either.
            log.warning("frames-not-remembered", dataset=str(event.dataset), error=str(error))
            return
        async with self._database.transaction() as connection:
            if await self._store.catch_up(connection, event, selection):
                log.info("frames-remembered", dataset=str(event.dataset), frames=selection.frames)


class StandardHandlers:
    """Keeps the frames that nobody may train on."""

    def __init__(self, database: Database, store: Store, blobs: Blobs) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs

    async def on_standard_released(self, event: Event, delivery: Delivery) -> None:
        """Versions may come twice and out of order: the newest counts."""
        if not isinstance(event, StandardReleased):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        content = await self._blobs.get_model(event.content.key, StandardDataset)
        hashes = hash_array(bytes.fromhex(one) for branch in content.branches for one in branch.frames)
        async with self._database.transaction() as connection:
            if not await first_time(connection, delivery.durable, delivery.attributes.id):
                return
            if await self._store.take_standard(connection, event.number, hashes):
                log.info("standard-taken", number=event.number, frames=len(hashes))


class StructureHandlers:
    """Reads structures that are to be predicted. A lane of its own: nobody waits behind an archive for one."""

    def __init__(self, database: Database, structures: ReadsStructures) -> None:
        self._database = database
        self._structures = structures

    async def on_prediction_requested(self, event: Event, delivery: Delivery) -> None:
        if not isinstance(event, PredictionRequested):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        outcome = await self._structures.read(event)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await emit(connection, outcome)


class SharedHandlers:
    """Looks into what is shared only. A lane of its own: it waits for nobody's calculations."""

    def __init__(self, database: Database, looking: Looks) -> None:
        self._database = database
        self._looking = looking

    async def on_dataset_shared(self, event: Event, delivery: Delivery) -> None:
        if not isinstance(event, DatasetShared):
            raise Poison(f"{delivery.attributes.type} is not what {delivery.durable} reads")
        outcome = await self._looking.look(event)
        async with self._database.transaction() as connection:
            if await first_time(connection, delivery.durable, delivery.attributes.id):
                await emit(connection, outcome)


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
