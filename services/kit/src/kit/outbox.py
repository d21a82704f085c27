"""The transactional outbox: facts commit with the state that they tell of, and a relay publishes them in order."""

import asyncio
from collections import defaultdict
from uuid import UUID

import psycopg
from contracts.envelope import Attributes, Event, to_headers
from contracts.topology import EVENT_STREAM
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection, Row
from kit.telemetry import current_traceparent

log = get_logger(__name__)


async def emit(connection: Connection, event: Event) -> UUID:
    """Put `event` into the outbox, inside the caller's transaction. Returns the event's id."""
    cursor = await connection.execute(
        "insert into outbox (subject, type, about, traceparent, body) values (%s, %s, %s, %s, %s) returning id",
        (event.nats_subject, event.ce_type(), event.about(), current_traceparent(), event.body().decode()),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("insert … returning gave no row")
    identifier: UUID = row["id"]
    return identifier


class Relay:
    """Publishes the outbox of one schema. Any number may run: an advisory lock lets one work.

    Order is kept within what an event is about (`ce-subject`): the next one is published when JetStream has
    acknowledged the one before. Published twice after a crash, a message has the same `Nats-Msg-Id`.
    """

    def __init__(self, database: Database, jetstream: JetStreamContext, service: str) -> None:
        self._database = database
        self._jetstream = jetstream
        self._service = service

    async def run(self, batch: int = 200, poll_seconds: float = 1.0) -> None:
        while True:
            try:
                async with self._database.listening(f"outbox_{self._service}") as connection:
                    await connection.execute("select pg_advisory_lock(hashtext('outbox:' || current_schema()))")
                    while True:
                        while await self._drain(connection, batch):
                            pass
                        async for _ in connection.notifies(timeout=poll_seconds, stop_after=1):
                            pass
            except (psycopg.OperationalError, OSError) as error:
                log.warning("outbox-database-away", error=str(error))
                await asyncio.sleep(0.3)

    async def _drain(self, connection: Connection, batch: int) -> bool:
        """Publish up to `batch` rows; True when there may be more to do at once."""
        cursor = await connection.execute("select * from outbox order by seq limit %s", (batch,))
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in await cursor.fetchall():
            groups[row["about"]].append(row)
        published = await asyncio.gather(*(self._publish(rows) for rows in groups.values()))
        done = [seq for group in published for seq in group]
        if done:
            await connection.execute("delete from outbox where seq = any(%s)", (done,))
        elif groups:
            await asyncio.sleep(0.2)  # NATS is away: keep what is there and try again
        return bool(groups)

    async def _publish(self, rows: list[Row]) -> list[int]:
        done = []
        for row in rows:
            attributes = Attributes(
                id=row["id"],
                type=row["type"],
                source=f"potluck/{self._service}",
                subject=row["about"],
                time=row["occurred"],
            )
            headers = to_headers(attributes)
            if row["traceparent"]:
                headers["traceparent"] = row["traceparent"]
            try:
                await self._jetstream.publish(
                    row["subject"], row["body"].encode(), timeout=5, stream=EVENT_STREAM, headers=headers
                )
            except (NatsError, OSError, TimeoutError) as error:
                log.warning("outbox-publish-failed", subject=row["subject"], error=repr(error))
                break
            done.append(row["seq"])
        return done
