"""SQL of webhooks and their deliveries."""

from datetime import datetime
from uuid import UUID

from kit.queries import Connection, Queries, Row


class WebhookTables:
    """Webhooks of people, and what is sent to them."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock(self, c: Connection, person_id: UUID) -> None:
        await self._q.execute(c, "lock_webhooks", person_id=person_id)

    async def add(self, c: Connection, person_id: UUID, url: str, types: list[str], secret: str) -> Row:
        return await self._q.row(c, "insert_webhook", person_id=person_id, url=url, types=types, secret=secret)

    async def of(self, c: Connection, person_id: UUID) -> list[Row]:
        return await self._q.all(c, "webhooks_of", person_id=person_id)

    async def own(self, c: Connection, person_id: UUID, webhook_id: UUID) -> Row | None:
        return await self._q.one(c, "own_webhook", person_id=person_id, webhook_id=webhook_id)

    async def remove(self, c: Connection, person_id: UUID, webhook_id: UUID) -> bool:
        return await self._q.execute(c, "delete_webhook", person_id=person_id, webhook_id=webhook_id) == 1

    async def enable(self, c: Connection, person_id: UUID, webhook_id: UUID) -> bool:
        return await self._q.one(c, "enable_webhook", person_id=person_id, webhook_id=webhook_id) is not None

    async def deliveries(self, c: Connection, webhook_id: UUID, before: int | None, most: int) -> list[Row]:
        return await self._q.all(c, "deliveries_of", webhook_id=webhook_id, before=before, most=most)

    async def replay(self, c: Connection, person_id: UUID, webhook_id: UUID, delivery_id: int) -> bool:
        keys = {"person_id": person_id, "webhook_id": webhook_id, "delivery_id": delivery_id}
        return await self._q.one(c, "replay_delivery", **keys) is not None

    async def enqueue(self, c: Connection, event_id: UUID, kind: str, about: str, at: datetime, body: str) -> int:
        """How many webhooks get the event."""
        return await self._q.execute(
            c, "insert_deliveries", event_id=event_id, type=kind, about=about, at=at, body=body
        )

    async def notify(self, c: Connection) -> None:
        await self._q.execute(c, "notify_webhooks")

    async def claim(self, c: Connection, most: int, seconds: float) -> list[Row]:
        """Deliveries that are due, at most one of each webhook; nobody else sends them for so long."""
        return await self._q.all(c, "claim_deliveries", most=most, seconds=seconds)

    async def delivered(self, c: Connection, delivery_id: int, status: int, seconds: float) -> None:
        await self._q.execute(c, "set_delivered", delivery_id=delivery_id, status=status, seconds=seconds)

    async def not_delivered(
        self, c: Connection, delivery_id: int, status: int | None, problem: str, seconds: float, delay: float | None
    ) -> None:
        """`delay`: seconds until the next try; None: there is none."""
        await self._q.execute(
            c,
            "set_not_delivered",
            delivery_id=delivery_id,
            status=status,
            problem=problem,
            seconds=seconds,
            delay=delay,
        )

    async def disable(self, c: Connection, webhook_id: UUID, reason: str) -> Row | None:
        """Address, and whom to tell in which language; None when it was disabled before."""
        return await self._q.one(c, "disable_webhook", webhook_id=webhook_id, reason=reason)

    async def disable_failing(self, c: Connection, seconds: float) -> list[Row]:
        return await self._q.all(c, "disable_failing_webhooks", seconds=seconds)

    async def sweep(self, c: Connection, days: int) -> None:
        await self._q.execute(c, "delete_old_deliveries", days=days)
