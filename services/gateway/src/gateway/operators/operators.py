"""Use cases of operators: dead letters, people, rounds, and the log of who did what."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts import keys
from contracts.artifacts import GrowthPolicyInForce, MetricPolicy
from contracts.topology import AGAIN_PREFIX, DEAD_LETTER_STREAM
from kit.blobs import BlobMissing, Blobs
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Row

from gateway.domain import Person
from gateway.entries.publishing import Publishing
from gateway.operators.policy import metric_policy
from gateway.operators.steering import Growth, Steering
from gateway.problems import Problem, invalid_field, no_such_page, not_found
from gateway.store import Store
from gateway.stores.people import person_of

log = get_logger(__name__)

LETTERS, PEOPLE, ENTRIES = 100, 50, 50
REASON_LENGTH = 500
# Of an alias or a version, and of a dataset in the address of its page.
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")
DATASET_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Publish = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Overview:
    """What an operator sees. `growth` is none when the registry is away; `trouble` says why."""

    letters: list[Row]
    growth: Growth | None
    trouble: Problem | None
    metric: MetricPolicy | None
    growth_policy: GrowthPolicyInForce | None


class Operators:
    """Raises Problem 404 to whoever is no operator: the pages are not there for them."""

    def __init__(
        self,
        database: Database,
        store: Store,
        blobs: Blobs,
        steering: Steering,
        publish: Publish,
        publishing: Publishing,
    ) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._steering = steering
        self._publish = publish
        self._publishing = publishing

    async def overview(self, person: Person | None) -> Overview:
        _operator(person)
        async with self._database.transaction() as connection:
            letters = await self._store.operating.dead_letters(connection, LETTERS)
        growth, trouble = None, None
        try:
            growth = await self._steering.growth()
        except Problem as problem:
            trouble = problem
        return Overview(letters, growth, trouble, await self._metric_policy(), await self._growth_policy())

    async def people(self, person: Person | None, sought: str) -> list[Person]:
        """Those whose name or address holds `sought`."""
        _operator(person)
        async with self._database.transaction() as connection:
            rows = await self._store.operating.people(connection, sought.replace("\x00", "")[:200], PEOPLE)
        return [person_of(row) for row in rows]

    async def audit_log(self, person: Person | None, before: int | None = None) -> list[Row]:
        """Newest first."""
        _operator(person)
        async with self._database.transaction() as connection:
            return await self._store.operating.audit_log(connection, before, ENTRIES)

    async def requeue(self, person: Person | None, letter_id: int) -> None:
        """Have the event handled once more by the service that gave it up. 404 when the letter is not open."""
        operator = _operator(person)
        async with self._database.transaction() as connection:
            letter = await self._closed(connection, letter_id, "requeued")
            await self._audit(connection, operator, "dead-letter.requeue", _about(letter), "")
            # Last: if it is not stored, the letter stays open. Sent twice it is handled once, as every event.
            await self._publish(
                f"{AGAIN_PREFIX}{letter['consumer']}",
                str(letter["sequence"]).encode(),
                stream=DEAD_LETTER_STREAM,
                timeout=5,
                headers={"Nats-Msg-Id": f"again:{letter_id}:{letter['died'].isoformat()}"},
            )
        log.info("dead-letter-requeued", letter=letter_id, by=str(operator.id))

    async def drop(self, person: Person | None, letter_id: int, reason: Any) -> None:
        """Close the letter: the event is not handled. 422 without a reason."""
        operator, why = _operator(person), _reason(reason)
        async with self._database.transaction() as connection:
            letter = await self._closed(connection, letter_id, "dropped")
            await self._audit(connection, operator, "dead-letter.drop", _about(letter), why)
        log.info("dead-letter-dropped", letter=letter_id, by=str(operator.id))

    async def suspend(self, person: Person | None, person_id: UUID, reason: Any, suspended: bool) -> None:
        """Keep somebody from signing in, or let them again. Sessions end; tokens rest. 409 for oneself."""
        operator, why = _operator(person), _reason(reason)
        if person_id == operator.id:
            raise Problem(409, "oneself", "Not yourself", "Nobody suspends their own account.")
        async with self._database.transaction() as connection:
            row = await self._store.operating.set_suspended(connection, person_id, suspended)
            if row is None:
                raise not_found("account", "Or it is so already: load the page again.")
            action = "person.suspend" if suspended else "person.reinstate"
            await self._audit(connection, operator, action, f"{row['name']} <{row['email']}>", why)
        log.info("person-suspended" if suspended else "person-reinstated", person=str(person_id), by=str(operator.id))

    async def pause(self, person: Person | None, reason: Any) -> None:
        operator, why = _operator(person), _reason(reason)
        await self._steered(operator, "growth.pause", "", why, lambda: self._steering.pause(why))

    async def resume(self, person: Person | None) -> None:
        await self._steered(_operator(person), "growth.resume", "", "", self._steering.resume)

    async def cancel(self, person: Person | None, round_id: Any, reason: Any, pause: bool) -> None:
        operator, why = _operator(person), _reason(reason)
        chosen = _round(round_id)
        await self._steered(operator, "round.cancel", chosen, why, lambda: self._steering.cancel(chosen, why, pause))

    async def bisect(self, person: Person | None, round_id: Any, reason: Any) -> None:
        """Look for what made a round fail by training halves of its datasets."""
        operator, why, chosen = _operator(person), _reason(reason), _round(round_id)
        await self._steered(operator, "round.bisect", chosen, why, lambda: self._steering.bisect(chosen))

    async def stop_inquiry(self, person: Person | None, reason: Any) -> None:
        operator, why = _operator(person), _reason(reason)
        await self._steered(operator, "inquiry.stop", "", why, lambda: self._steering.stop_inquiry(why))

    async def move_alias(self, person: Person | None, alias: Any, version: Any, reason: Any) -> None:
        operator, why = _operator(person), _reason(reason)
        name, target = _word("alias", alias), _word("version", version)
        await self._steered(
            operator, "alias.move", f"{name} → {target}", why, lambda: self._steering.move_alias(name, target, why)
        )

    async def roll_back_alias(self, person: Person | None, alias: Any, reason: Any) -> None:
        operator, why, name = _operator(person), _reason(reason), _word("alias", alias)
        await self._steered(operator, "alias.roll-back", name, why, lambda: self._steering.roll_back_alias(name, why))

    async def withdraw(self, person: Person | None, dataset: Any, reason: Any) -> None:
        """Take back every version of somebody's dataset, as its contributor could. `dataset`: its address or id."""
        operator, why = _operator(person), _reason(reason)
        found = DATASET_ID.search(dataset) if isinstance(dataset, str) else None
        if found is None:
            raise invalid_field("dataset", "This names no dataset.", "Copy the address of its page.")
        async with self._database.transaction() as connection:
            if not await self._publishing.take_back(connection, UUID(found[0]), why):
                raise not_found("dataset", "Or it was withdrawn before.")
            await self._audit(connection, operator, "dataset.withdraw", found[0], why)

    async def _steered(
        self, operator: Person, action: str, about: str, reason: str, act: Callable[[], Awaitable[None]]
    ) -> None:
        """Written down before it is asked, so that nothing happens unseen; a refusal is written down too."""
        async with self._database.transaction() as connection:
            await self._audit(connection, operator, action, about, reason)
        try:
            await act()
        except Problem as problem:
            async with self._database.transaction() as connection:
                await self._audit(connection, operator, f"{action}.refused", about, problem.detail[:REASON_LENGTH])
            raise

    async def _closed(self, connection: Any, letter_id: int, state: str) -> Row:
        letter = await self._store.operating.close_dead_letter(connection, letter_id, state)
        if letter is None:
            raise not_found("dead letter", "Somebody was faster: load the page again.")
        return letter

    async def _audit(self, connection: Any, operator: Person, action: str, about: str, reason: str) -> None:
        who = f"{operator.name} <{operator.email}>"
        await self._store.operating.audit(connection, operator.id, who, action, about, reason)

    async def _metric_policy(self) -> MetricPolicy | None:
        try:
            return await metric_policy(self._blobs)
        except Problem:
            return None

    async def _growth_policy(self) -> GrowthPolicyInForce | None:
        try:
            return await self._blobs.get_model(keys.GROWTH_POLICY, GrowthPolicyInForce)
        except BlobMissing:
            return None


def _operator(person: Person | None) -> Person:
    if person is None or not person.operator:
        raise no_such_page()
    return person


def _reason(reason: Any) -> str:
    text = " ".join(reason.split()) if isinstance(reason, str) else ""
    if not text or len(text) > REASON_LENGTH or not text.isprintable():
        raise invalid_field(
            "reason", f"This needs a reason of 1 to {REASON_LENGTH} characters.", "Say why: others will read it."
        )
    return text


def _round(round_id: Any) -> str:
    try:
        return str(UUID(str(round_id)))
    except ValueError:
        raise invalid_field("round_id", "This names no round.", "Load the page again.") from None


def _word(field: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not WORD.fullmatch(text):
        raise invalid_field(
            field,
            "This is a name of letters, digits, dots and hyphens, or a version.",
            "Look it up on the page of models.",
        )
    return text


def _about(letter: Row) -> str:
    return f"{letter['consumer']}: {letter['subject']} {letter['about']}"
