"""Live updates: woken by NOTIFY, read from the log once, encoded once, handed to every watcher.

Every replica listens for itself, so a watcher may be connected to any of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from contracts.base import DatasetRef
from kit.db import Database
from kit.logs import get_logger
from psycopg_pool import PoolTimeout

from gateway.entries.datasets import QUEUE_TOPIC, READING_TOPIC, queue_places
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.views.datasets import QueuePlace

log = get_logger(__name__)

CHANNEL = "gateway_feed"
PERSON_TOPIC = "person/"  # whose session or token ended (migration 0020)
QUEUE_LENGTH = 256
LOG_BATCH = 500
QUEUE_PAUSE_SECONDS = 0.2
WAITING_TIMES_SECONDS = 5.0  # how often they are worked out anew while nothing else happens
AWAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Message:
    """One encoded event of the stream. Without `position` it does not move Last-Event-ID.

    `valid_until`: the position up to which a message without one is still true; None: for ever.
    """

    position: int | None
    data: bytes
    valid_until: int | None = None

    def is_news(self, position: int) -> bool:
        """To a reader who has heard everything up to that position."""
        if self.position is not None:
            return self.position > position
        return self.valid_until is None or self.valid_until >= position


def encode(event: str, data: str, position: int | None = None) -> bytes:
    """Server-sent event; `data` is JSON without line breaks."""
    identifier = f"id: {position}\n" if position is not None else ""
    return f"{identifier}event: {event}\ndata: {data}\n\n".encode()


@dataclass(eq=False)
class Watcher:
    """One open stream. A watcher that does not keep up is cut off: it comes back with its Last-Event-ID.

    `since`: every message of the log beyond this position is put into the queue. `person_id`: None of a stranger.
    """

    person_id: UUID | None = None
    since: int = 0
    queue: asyncio.Queue[Message | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))

    def give(self, message: Message | None) -> bool:
        """False when its queue is full."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()
            return False
        return True

    def end(self) -> None:
        """Whatever waits is not told any more."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


@dataclass(eq=False)
class _Topic:
    """A contribution that somebody watches, and how far its log has been handed out."""

    ref: DatasetRef
    position: int | None = None  # None until the first watcher has asked
    place: QueuePlace | None = None
    watchers: set[Watcher] = field(default_factory=set)
    advancing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Feed:
    """Fans the log out to watchers."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._store = store
        self._most = settings.max_watchers
        self._topics: dict[DatasetRef, _Topic] = {}
        self._of_the_queue: set[Watcher] = set()
        self._count = 0
        self._queue_changed = asyncio.Event()
        self._closed = False
        self._heard = 0
        self._listening = False

    @property
    def heard(self) -> int | None:
        """Grows with whatever is told of any dataset. None while nobody listens: then nothing is known to be true."""
        return self._heard if self._listening else None

    @asynccontextmanager
    async def watching(self, ref: DatasetRef, person_id: UUID | None = None) -> AsyncIterator[Watcher]:
        """Messages from now on. Raises Problem 503 when too many watch or the service stops.

        Of a person it ends when one of their sessions or tokens does: whoever still has the right comes back.
        """
        watcher = self._admit(person_id)
        topic = self._topics.setdefault(ref, _Topic(ref))
        topic.watchers.add(watcher)
        try:
            async with topic.advancing:
                if topic.position is None:
                    async with self._database.transaction() as connection:
                        topic.place = (await queue_places(self._store, connection)).get(ref)
                        topic.position = await self._store.entries.position(connection, ref)
                watcher.since = topic.position
            yield watcher
        finally:
            self._count -= 1
            topic.watchers.discard(watcher)
            if not topic.watchers:
                self._topics.pop(ref, None)

    @asynccontextmanager
    async def watching_the_queue(self) -> AsyncIterator[Watcher]:
        """A message whenever a line changed. Raises Problem 503 as `watching` does."""
        watcher = self._admit()
        self._of_the_queue.add(watcher)
        try:
            yield watcher
        finally:
            self._count -= 1
            self._of_the_queue.discard(watcher)

    def _admit(self, person_id: UUID | None = None) -> Watcher:
        if self._closed or self._count >= self._most:
            raise Problem(
                503,
                "too-many-watchers",
                "Many are watching",
                "No more live streams can be opened just now.",
                remedy="Reload the page in a while: it shows the same state.",
                headers={"retry-after": "10"},
            )
        self._count += 1
        return Watcher(person_id)

    async def missed(self, ref: DatasetRef, after: int) -> list[Message] | None:
        """What came after a position; None when that is too much or was never said: then start with a snapshot."""
        async with self._database.transaction() as connection:
            rows = await self._store.entries.log_after(connection, ref, after, LOG_BATCH)
            last = await self._store.entries.position(connection, ref)
        if after > last or len(rows) == LOG_BATCH:
            return None
        return [Message(row["position"], encode("update", row["data"], row["position"])) for row in rows]

    def close(self) -> None:
        """End every stream; the clients come back to whoever answers then."""
        self._closed = True
        watching = [watcher for topic in self._topics.values() for watcher in topic.watchers]
        for watcher in [*watching, *self._of_the_queue]:
            watcher.give(None)

    async def run(self) -> None:
        """Listen until cancelled, through restarts of the database."""
        queue = asyncio.create_task(self._tell_places())
        try:
            while True:
                try:
                    await self._listen()
                except (psycopg.OperationalError, PoolTimeout, OSError) as error:
                    log.warning("feed-database-away", error=str(error))
                    self._listening = False
                    await asyncio.sleep(AWAY_SECONDS)
        finally:
            self._listening = False
            queue.cancel()

    async def _listen(self) -> None:
        async with self._database.listening(CHANNEL) as connection:
            # What was said while nobody listened is in the log; whose rights ended meanwhile is nowhere.
            if self._heard:
                self._end(None)
            for topic in list(self._topics.values()):
                await self._advance(topic)
            self._queue_changed.set()
            self._heard += 1
            self._listening = True
            async for notification in connection.notifies():
                self._heard += 1
                if notification.payload == QUEUE_TOPIC:
                    self._queue_changed.set()
                elif notification.payload.startswith(PERSON_TOPIC):
                    self._end(UUID(notification.payload.removeprefix(PERSON_TOPIC)))
                elif notification.payload.startswith(READING_TOPIC):
                    await self._tell_reading(_ref(notification.payload.removeprefix(READING_TOPIC)))
                elif watched := self._topics.get(_ref(notification.payload)):
                    await self._advance(watched)

    def _end(self, person_id: UUID | None) -> None:
        """The streams of that person; None: of all people, not of strangers."""
        for topic in self._topics.values():
            for watcher in topic.watchers:
                if watcher.person_id is not None and person_id in (None, watcher.person_id):
                    watcher.end()

    async def _advance(self, topic: _Topic) -> None:
        async with topic.advancing:
            if topic.position is None:
                return  # its first watcher could not ask; whoever comes next does
            async with self._database.transaction() as connection:
                rows = await self._store.entries.log_after(connection, topic.ref, topic.position, LOG_BATCH)
            for row in rows:
                position = row["position"]
                self._hand_out(topic, Message(position, encode("update", row["data"], position)))
                topic.position = position

    async def _tell_reading(self, ref: DatasetRef) -> None:
        """What the table holds now: after the outcome nothing, whatever the notification was about."""
        topic = self._topics.get(ref)
        if topic is None:
            return
        async with self._database.transaction() as connection:
            row = await self._store.entries.reading(connection, ref)
        if row is not None:
            self._hand_out(topic, reading_message(row["reading"], row["position"]))

    async def _tell_places(self) -> None:
        """Places in the queue change with everybody else's progress: told without an id, at most 5 times a second."""
        while True:
            changed = await self._woken()
            if changed:
                for watcher in list(self._of_the_queue):
                    watcher.give(QUEUE_CHANGED)
            if self._topics:
                try:
                    async with self._database.transaction() as connection:
                        places = await queue_places(self._store, connection)
                except (psycopg.OperationalError, PoolTimeout, OSError) as error:
                    log.warning("feed-database-away", error=str(error))
                    self._queue_changed.set()
                else:
                    for topic in list(self._topics.values()):
                        self._tell_place(topic, places.get(topic.ref))
            await asyncio.sleep(QUEUE_PAUSE_SECONDS)

    async def _woken(self) -> bool:
        """True: a line changed; False: nothing did, but waiting times run down."""
        try:
            await asyncio.wait_for(self._queue_changed.wait(), WAITING_TIMES_SECONDS)
        except TimeoutError:
            return False
        self._queue_changed.clear()
        return True

    def _tell_place(self, topic: _Topic, place: QueuePlace | None) -> None:
        if place != topic.place:
            topic.place = place
            self._hand_out(topic, Message(None, place_message(place)))

    def _hand_out(self, topic: _Topic, message: Message) -> None:
        for watcher in list(topic.watchers):
            if not watcher.give(message):
                topic.watchers.discard(watcher)
                log.info("watcher-too-slow", dataset=str(topic.ref))


def place_message(place: QueuePlace | None) -> bytes:
    data: dict[str, Any] = {"queue": place.model_dump(mode="json") if place else None}
    return encode("update", json.dumps(data))


def reading_message(reading: dict[str, Any] | None, position: int) -> Message:
    """No longer true once the log goes on: the outcome is told there."""
    return Message(None, encode("update", json.dumps({"reading": reading})), valid_until=position)


QUEUE_CHANGED = Message(None, encode("changed", "{}"))


def _ref(text: str) -> DatasetRef:
    dataset_id, _, version = text.partition("/")
    return DatasetRef(dataset_id=UUID(dataset_id), version=int(version))
