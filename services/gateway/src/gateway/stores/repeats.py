"""SQL of requests that may be repeated, and of programs that wait to be signed in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from kit.queries import Connection, Queries, Row
from psycopg.types.json import Jsonb


class Repeats:
    """What creating requests were answered with, by person and Idempotency-Key."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def claim(
        self, c: Connection, person_id: UUID, key: str, request_sha256: str, abandoned: float, kept: float
    ) -> datetime | None:
        """The time of the claim, by which its answer is kept; None when the key is taken. Ages in seconds."""
        row = await self._q.one(
            c,
            "claim_key",
            person_id=person_id,
            key=key,
            request_sha256=request_sha256,
            abandoned_seconds=abandoned,
            kept_seconds=kept,
        )
        return row["begun"] if row else None

    async def claimed(self, c: Connection, person_id: UUID, key: str) -> Row | None:
        return await self._q.one(c, "claimed_key", person_id=person_id, key=key)

    async def keep(
        self,
        c: Connection,
        person_id: UUID,
        key: str,
        begun: datetime,
        *,
        status: int,
        headers: dict[str, Any],
        body: bytes,
        shown_once: bool,
    ) -> None:
        await self._q.execute(
            c,
            "keep_answer",
            person_id=person_id,
            key=key,
            begun=begun,
            status=status,
            headers=Jsonb(headers),
            body=body,
            shown_once=shown_once,
        )

    async def release(self, c: Connection, person_id: UUID, key: str, begun: datetime) -> None:
        """Nothing came of the request: the key is free again."""
        await self._q.execute(c, "release_key", person_id=person_id, key=key, begun=begun)

    async def sweep(self, c: Connection, kept_seconds: float) -> None:
        await self._q.execute(c, "delete_old_keys", kept_seconds=kept_seconds)


class ProgramSignIns:
    """Programs that wait for a person's word."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add(
        self,
        c: Connection,
        secret_sha256: bytes,
        code_sha256: bytes,
        *,
        label: str,
        address: str,
        scopes: list[str],
        days: int | None,
        seconds: float,
    ) -> datetime | None:
        """When it expires; None when the short code is taken."""
        row = await self._q.one(
            c,
            "insert_program_sign_in",
            secret_sha256=secret_sha256,
            code_sha256=code_sha256,
            label=label,
            address=address,
            scopes=scopes,
            days=days,
            seconds=seconds,
        )
        return row["expires"] if row else None

    async def by_code(self, c: Connection, code_sha256: bytes) -> Row | None:
        """One that still waits."""
        return await self._q.one(c, "program_sign_in_by_code", code_sha256=code_sha256)

    async def decide(
        self, c: Connection, code_sha256: bytes, person_id: UUID, state: str, scopes: list[str], days: int | None
    ) -> bool:
        """False when it no longer waits."""
        row = await self._q.one(
            c,
            "decide_program_sign_in",
            code_sha256=code_sha256,
            person_id=person_id,
            state=state,
            scopes=scopes,
            days=days,
        )
        return row is not None

    async def held(self, c: Connection, secret_sha256: bytes, interval_seconds: float) -> Row | None:
        """The one with that secret, held until the transaction ends; None when it is over."""
        return await self._q.one(c, "program_sign_in", secret_sha256=secret_sha256, seconds=interval_seconds)

    async def touch(self, c: Connection, secret_sha256: bytes) -> None:
        await self._q.execute(c, "touch_program_sign_in", secret_sha256=secret_sha256)

    async def remove(self, c: Connection, secret_sha256: bytes) -> None:
        await self._q.execute(c, "delete_program_sign_in", secret_sha256=secret_sha256)

    async def sweep(self, c: Connection) -> None:
        await self._q.execute(c, "delete_old_program_sign_ins")
