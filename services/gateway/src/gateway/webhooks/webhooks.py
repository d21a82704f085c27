"""Use cases of webhooks: public events for those who have no NATS, sent to an address of theirs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from contracts.base import Frozen
from contracts.envelope import Attributes, Event, structured
from contracts.topology import is_public
from kit.db import Database
from kit.queries import Connection, Row
from pydantic import Field

from gateway.domain import Person
from gateway.problems import Problem, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.stores.webhooks import WebhookTables
from gateway.webhooks.rules import new_secret, wanted

MOST = 10
DELIVERIES = 50


class NewWebhook(Frozen):
    url: str = Field(description="https://…, on the public internet")
    types: tuple[str, ...] = Field(min_length=1, description="of public events, e.g. 'potluck.model.published.v1'")


class WebhookView(Frozen):
    """A webhook as its owner sees it; the secret was shown once."""

    id: UUID
    url: str
    types: tuple[str, ...]
    created: datetime
    failing_since: datetime | None = Field(description="nothing has been taken since; none: all is well")
    disabled: datetime | None
    disabled_reason: Literal["", "failing", "gone"] = Field(
        description="failing: for a day nothing was taken; gone: the address answered 410"
    )


class NewWebhookView(WebhookView):
    """The only time that the secret is shown."""

    secret: str = Field(description="key of the signatures, as Standard Webhooks writes it")


class DeliveryView(Frozen):
    """One event for one webhook. `id` counts deliveries; `event_id` is what the `webhook-id` header says."""

    id: int
    event_id: UUID
    type: str
    about: str
    created: datetime
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    due: datetime | None = Field(description="when it is tried next; none: it is not")
    tried: datetime | None
    status: int | None = Field(description="HTTP status of the last answer; none: there was no answer")
    problem: str
    seconds: float | None = Field(description="how long the last try took")


class Webhooks:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._tables = store.webhooks
        self._anywhere = settings.webhooks_anywhere

    async def add(self, person: Person, fields: Mapping[str, Any]) -> NewWebhookView:
        asked = wanted(fields, anywhere=self._anywhere)
        secret = new_secret()
        async with self._database.transaction() as connection:
            await self._tables.lock(connection, person.id)
            if len(await self._tables.of(connection, person.id)) >= MOST:
                raise Problem(
                    409,
                    "too-many-webhooks",
                    "Enough webhooks",
                    "An account has ten webhooks at most.",
                    remedy="Remove one that you do not need any more.",
                )
            row = await self._tables.add(connection, person.id, asked.url, list(asked.types), secret)
        return NewWebhookView(**_members(row), secret=secret)

    async def all(self, person: Person) -> list[WebhookView]:
        async with self._database.transaction() as connection:
            return [WebhookView(**_members(row)) for row in await self._tables.of(connection, person.id)]

    async def one(self, person: Person, webhook_id: UUID) -> WebhookView:
        async with self._database.transaction() as connection:
            return WebhookView(**_members(await self._own(connection, person, webhook_id)))

    async def remove(self, person: Person, webhook_id: UUID) -> None:
        async with self._database.transaction() as connection:
            if not await self._tables.remove(connection, person.id, webhook_id):
                raise not_found("webhook")

    async def enable(self, person: Person, webhook_id: UUID) -> WebhookView:
        """One that was disabled is tried again, with what waits for it."""
        async with self._database.transaction() as connection:
            if not await self._tables.enable(connection, person.id, webhook_id):
                raise not_found("webhook")
            await self._tables.notify(connection)
            return WebhookView(**_members(await self._own(connection, person, webhook_id)))

    async def deliveries(self, person: Person, webhook_id: UUID, before: int | None = None) -> list[DeliveryView]:
        """The newest first, fifty at a time; `before`: go on after this one."""
        async with self._database.transaction() as connection:
            await self._own(connection, person, webhook_id)
            rows = await self._tables.deliveries(connection, webhook_id, before, DELIVERIES)
        return [_delivery(row) for row in rows]

    async def replay(self, person: Person, webhook_id: UUID, delivery_id: int) -> None:
        """Send it once more, under the same id."""
        async with self._database.transaction() as connection:
            if not await self._tables.replay(connection, person.id, webhook_id, delivery_id):
                raise not_found("delivery")
            await self._tables.notify(connection)

    async def _own(self, connection: Connection, person: Person, webhook_id: UUID) -> Row:
        row = await self._tables.own(connection, person.id, webhook_id)
        if row is None:
            raise not_found("webhook")
        return row


async def enqueue(tables: WebhookTables, connection: Connection, event: Event, attributes: Attributes) -> None:
    """In the transaction that handles the event: deliveries for whoever wants it; none of what is not public."""
    if not is_public(event.nats_subject):
        return
    body = structured(attributes, event.body()).decode()
    if await tables.enqueue(connection, attributes.id, attributes.type, attributes.subject, attributes.time, body):
        await tables.notify(connection)


def _members(row: Row) -> dict[str, Any]:
    names = ("url", "types", "created", "failing_since", "disabled", "disabled_reason")
    return {"id": row["webhook_id"]} | {name: row[name] for name in names}


def _delivery(row: Row) -> DeliveryView:
    due = row["due"] if row["state"] == "waiting" else None
    return DeliveryView(**(row | {"id": row["delivery_id"], "due": due}))
