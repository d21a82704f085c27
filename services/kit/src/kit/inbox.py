"""Idempotent consumers: an event's effect and the note that it was handled commit together."""

from uuid import UUID

from kit.queries import Connection


async def first_time(connection: Connection, consumer: str, event_id: UUID) -> bool:
    """Inside the handler's transaction; False: already handled, do nothing.

    A twin that runs at the same time waits here until the first one commits.
    """
    cursor = await connection.execute(
        "insert into inbox (consumer, event_id) values (%s, %s) on conflict do nothing", (consumer, event_id)
    )
    return cursor.rowcount == 1
