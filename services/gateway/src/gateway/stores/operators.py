"""SQL of operators: dead letters, people, the audit log."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.queries import Connection, Queries, Row


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a service gave up on. `sequence`: its number in the log of events."""

    consumer: str
    event_id: str
    sequence: int
    subject: str
    about: str
    reason: str
    attempts: int
    died: datetime


class Operating:
    """What operators see and change."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add_dead_letter(self, c: Connection, letter: DeadLetter) -> None:
        await self._q.execute(
            c,
            "add_dead_letter",
            consumer=letter.consumer,
            event_id=letter.event_id,
            sequence=letter.sequence,
            subject=letter.subject,
            about=letter.about,
            reason=letter.reason,
            attempts=letter.attempts,
            died=letter.died,
        )

    async def dead_letters(self, c: Connection, limit: int) -> list[Row]:
        return await self._q.all(c, "dead_letters", limit=limit)

    async def close_dead_letter(self, c: Connection, letter_id: int, state: str) -> Row | None:
        """None when it is not open any more."""
        return await self._q.one(c, "close_dead_letter", letter_id=letter_id, state=state)

    async def audit(
        self, c: Connection, person_id: UUID | None, person: str, action: str, about: str, reason: str
    ) -> None:
        await self._q.execute(
            c, "add_audit_entry", person_id=person_id, person=person, action=action, about=about, reason=reason
        )

    async def audit_log(self, c: Connection, before: int | None, limit: int) -> list[Row]:
        return await self._q.all(c, "audit_log", before=before, limit=limit)

    async def people(self, c: Connection, sought: str, limit: int) -> list[Row]:
        return await self._q.all(c, "people", sought=sought, limit=limit)

    async def set_suspended(self, c: Connection, person_id: UUID, suspended: bool) -> Row | None:
        """None when there is no such account, or it is so already."""
        row = await self._q.one(c, "set_suspended", person_id=person_id, suspended=suspended)
        if row is not None and suspended:
            await self._q.execute(c, "sign_out_everywhere", person_id=person_id)
        return row

    async def set_operator(self, c: Connection, email: str, operator: bool) -> Row | None:
        """None when there is no such account, or it is so already."""
        return await self._q.one(c, "set_operator", email=email, operator=operator)

    async def operators(self, c: Connection) -> list[Row]:
        return await self._q.all(c, "operators")
