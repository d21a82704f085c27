"""What anyone may query, as of one revision of the database, and the answers that were already given from it.

A revision is numbered by the database when a transaction that changes something commits (migration 0008). Whatever was
read of one revision is right until the next, so encoded answers are kept by it. NOTIFY tells of a new one; every
second the number is read as well, and an instance that could not read it lately asks before each answer.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection
from psycopg_pool import PoolTimeout

from registry.domain.refusals import TookTooLong
from registry.queries.watching import Watchers
from registry.stores.queries import Index, QueryStore

log = get_logger(__name__)

CHANNEL = "catalogue_registry"
POLL_SECONDS = 1.0
BELIEVED_SECONDS = 3.0
"""For so long after it was last read a revision is believed to be the newest."""
CHANGES_AT_ONCE = 128
TRIES = 20


class Snapshot:
    """One revision: what there is, and answers that were given, the least recently used of them dropped first."""

    def __init__(self, index: Index, kept_bytes: int) -> None:
        self.index = index
        self._kept: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._left = kept_bytes

    def kept(self, method: str, request: bytes) -> bytes | None:
        key = (method, request)
        answer = self._kept.get(key)
        if answer is not None:
            self._kept.move_to_end(key)
        return answer

    def keep(self, method: str, request: bytes, answer: bytes) -> None:
        key = (method, request)
        if key in self._kept:
            return
        self._kept[key] = answer
        self._left -= len(request) + len(answer)
        while self._left < 0 and self._kept:
            (_, old_request), old_answer = self._kept.popitem(last=False)
            self._left += len(old_request) + len(old_answer)


class Moved(Exception):
    """The database is at another revision by now: read again."""


class Catalogue:
    """The newest snapshot. Call `open` and run `follow`; else the revision is asked for before every answer."""

    def __init__(self, database: Database, store: QueryStore, watchers: Watchers, kept_bytes: int) -> None:
        self._database = database
        self._store = store
        self._watchers = watchers
        self._kept_bytes = kept_bytes
        self._snapshot: Snapshot | None = None
        self._believed_until = 0.0
        self._loading = asyncio.Lock()
        self._told = 0

    async def open(self) -> None:
        """Before anyone watches: changes from now on are told."""
        self._told = (await self.current()).index.revision

    def believed(self) -> Snapshot | None:
        """The snapshot, if it was the newest a moment ago."""
        return self._snapshot if time.monotonic() < self._believed_until else None

    async def current(self) -> Snapshot:
        """The snapshot, after a look whether it is the newest."""
        async with self._database.transaction() as conn:
            revision = await self._store.revision(conn)
        return await self._at(revision)

    @asynccontextmanager
    async def reading(self, snapshot: Snapshot) -> AsyncIterator[Connection]:
        """A transaction that reads the revision of the snapshot. Raises Moved when that is gone."""
        async with self._database.transaction() as conn:
            if await self._store.read_one_state(conn) != snapshot.index.revision:
                raise Moved
            yield conn

    async def follow(self) -> None:
        """Until cancelled: load each revision as it comes, and tell watchers of its changes."""
        while True:
            try:
                async with self._database.listening(CHANNEL) as conn:
                    while True:
                        revision = await self._store.revision(conn)
                        await self._at(revision)
                        await self._tell(conn)
                        async for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                            pass
            except (psycopg.OperationalError, PoolTimeout, OSError) as error:
                log.warning("catalogue-database-away", error=repr(error))
                await asyncio.sleep(0.3)

    async def _tell(self, conn: Connection) -> None:
        while changes := await self._store.changes(conn, self._told, CHANGES_AT_ONCE):
            self._watchers.tell(changes)
            self._told = changes[-1].position
            if len(changes) == CHANGES_AT_ONCE:
                await asyncio.sleep(0.05)  # whoever reads at all gets time to do so before the next batch

    async def _at(self, revision: int) -> Snapshot:
        """The snapshot of that revision or a newer one."""
        asked = time.monotonic()
        for _ in range(TRIES):
            held = self._snapshot
            if held is None or held.index.revision < revision:
                async with self._loading:
                    held = self._snapshot
                    if held is None or held.index.revision < revision:
                        held = await self._load()
            if held.index.revision >= revision:
                self._believed_until = max(self._believed_until, asked + BELIEVED_SECONDS)
                return held
        raise TookTooLong("the registry's catalogue changes faster than it can be read; try again")

    async def _load(self) -> Snapshot:
        async with self._database.transaction() as conn:
            await self._store.read_one_state(conn)
            index = await self._store.index(conn)
        self._snapshot = Snapshot(index, self._kept_bytes)
        return self._snapshot
