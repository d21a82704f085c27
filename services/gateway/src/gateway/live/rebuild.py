"""Read tables once more from the log of events, while the site serves.

The log is replayed into temporary tables of one session. Then whoever writes read tables waits, the last events are
caught up with, and rows that differ take the place of the old ones in one transaction: a reader sees the old tables or
the new ones, and a rebuild that dies leaves the old ones.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from contracts.base import DatasetRef
from contracts.envelope import Attributes, MalformedEvent, from_headers
from contracts.events import parse
from contracts.topology import EVENT_STREAM
from kit.blobs import Blobs
from kit.bus import Delivery, is_infrastructure
from kit.logs import get_logger
from kit.queries import Connection, Row
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from gateway.entries.datasets import QUEUE_TOPIC
from gateway.entries.telling import tell
from gateway.live.projections import Projector
from gateway.store import Store

log = get_logger(__name__)

CONSUMER = "gateway-events"
AT_ONCE = 64
CAUGHT_UP = 100  # events that may be left when writers are made to wait
MARGIN = timedelta(minutes=5)  # longer than any transaction of an entry
SECTIONS = ("ingest", "looked_into", "download", "frame_files", "metric", "training", "growth", "reruns")


class CannotRebuild(RuntimeError):
    """Nothing was changed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`left_out`: events that had never been taken in either. `stood_still`: seconds that writers waited."""

    events: int
    left_out: int
    rows: int
    changed: tuple[DatasetRef, ...]
    stood_still: float


@dataclass(frozen=True, slots=True)
class OneSession:
    """Transactions of one connection; inside another they are savepoints."""

    connection: Connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.connection.transaction():
            yield self.connection


@asynccontextmanager
async def session(dsn: str, name: str) -> AsyncIterator[OneSession]:
    """`name`: how the database's administrators see it."""
    connection: Connection = await AsyncConnection[Row].connect(
        dsn, autocommit=True, row_factory=dict_row, application_name=name
    )
    async with connection:
        yield OneSession(connection)


class Rebuild:
    """One run."""

    def __init__(self, dsn: str, store: Store, blobs: Blobs, jetstream: JetStreamContext) -> None:
        self._dsn = dsn
        self._store = store
        self._blobs = blobs
        self._jetstream = jetstream
        self._position = 0
        self._events = 0
        self._left_out = 0

    async def run(self) -> Rebuilt:
        """Raises CannotRebuild."""
        await self._whole_log()
        began = datetime.now(UTC)
        async with session(self._dsn, "gateway-rebuild") as own:
            connection = own.connection
            if not await self._store.rebuilding.begin(connection):
                raise CannotRebuild("another rebuild runs: wait for its end")
            projector = Projector(own, self._store, self._blobs, None)
            while await self._last() - self._position > CAUGHT_UP:
                await self._replay(projector, own)
            async with own.transaction():
                await self._store.rebuilding.stand_still(connection)
                since = monotonic()
                await self._replay(projector, own)
                for ref in await self._store.rebuilding.touched(connection, began - MARGIN):
                    await projector.settle(connection, ref)
                changed, rows = await self._store.rebuilding.swap(connection)
                await self._store.projections.notify(connection, QUEUE_TOPIC)  # kept pages end with it
            stood_still = monotonic() - since
        await self._tell(changed)
        return Rebuilt(self._events, self._left_out, rows, tuple(changed), stood_still)

    async def _whole_log(self) -> None:
        try:
            first = await self._jetstream.get_msg(EVENT_STREAM, seq=1, subject=">", next=True)
        except NotFoundError:
            return
        if first.seq != 1:
            raise CannotRebuild(f"the log begins at event {first.seq}: what came before cannot be replayed")

    async def _last(self) -> int:
        try:
            return (await self._jetstream.get_last_msg(EVENT_STREAM, ">")).seq or 0
        except NotFoundError:
            return 0

    async def _replay(self, projector: Projector, own: OneSession) -> None:
        """Up to the end of the log as it is now."""
        last = await self._last()
        while self._position < last:
            numbers = range(self._position + 1, min(self._position + AT_ONCE, last) + 1)
            messages = await asyncio.gather(*map(self._message, numbers))
            async with own.transaction():
                for message in messages:
                    await self._take_in(projector, own, message)
            self._position = numbers[-1]

    async def _message(self, number: int) -> RawStreamMsg:
        try:
            return await self._jetstream.get_msg(EVENT_STREAM, seq=number)
        except NotFoundError:
            raise CannotRebuild(f"event {number} is missing from the log") from None

    async def _take_in(self, projector: Projector, own: OneSession, message: RawStreamMsg) -> None:
        self._events += 1
        attributes: Attributes | None = None
        try:
            attributes = from_headers(message.headers or {})
            event = parse(attributes, message.data or b"")
            async with own.transaction():
                await projector.on_event(event, Delivery(CONSUMER, attributes, attempt=1))
        except MalformedEvent as error:
            await self._leave_out(own, message, attributes, error)
        except Exception as error:  # what a handler raises is a dead letter, here as when it was delivered
            if is_infrastructure(error):
                raise
            await self._leave_out(own, message, attributes, error)

    async def _leave_out(
        self, own: OneSession, message: RawStreamMsg, attributes: Attributes | None, error: Exception
    ) -> None:
        known = attributes is not None and await self._store.rebuilding.handled_before(
            own.connection, CONSUMER, attributes.id
        )
        if known:
            raise CannotRebuild(
                f"event {message.seq} ({message.subject}) was taken in when it came and cannot be now: {error!r}"
            ) from error
        self._left_out += 1
        log.warning("event-left-out", sequence=message.seq, subject=message.subject, error=repr(error))

    async def _tell(self, changed: list[DatasetRef]) -> None:
        """Whoever watches these is shown what they are now. Those that nothing changed are not mentioned."""
        async with session(self._dsn, "gateway-rebuild-tells") as own:
            for ref in changed:
                async with own.transaction() as connection:
                    await self._store.projections.lock(connection, ref)
                    await tell(self._store, connection, ref, SECTIONS)
