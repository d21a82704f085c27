"""Hashes of passwords, and how often somebody may try."""

import asyncio
import secrets

from kit.db import Database
from pwdlib import PasswordHash

from gateway.problems import Problem
from gateway.stores.people import People


class Passwords:
    """Argon2id in threads, a few at a time: each hash takes 64 MiB and a core."""

    def __init__(self, at_once: int) -> None:
        self._hasher = PasswordHash.recommended()
        self._limit = asyncio.Semaphore(at_once)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        async with self._limit:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it matches, and a stronger hash when the parameters have changed since.

        Without a stored hash the same work is done against a decoy: an unknown address takes as long as a wrong
        password.
        """
        if stored is None:
            if self._decoy is None:
                self._decoy = await self.hash(secrets.token_urlsafe())
            async with self._limit:
                await asyncio.to_thread(self._hasher.verify, password, self._decoy)
            return False, None
        async with self._limit:
            return await asyncio.to_thread(self._hasher.verify_and_update, password, stored)


class Attempts:
    """Counts what may be tried a few times only, by whom it is about and where it comes from."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self._people = people

    async def count(self, about: str, address: str, most: int, window_seconds: float, what: str) -> None:
        """One more. Raises Problem 429 when there were `most` within the window; `what` says of what."""
        async with self._database.transaction() as connection:
            await self._people.lock_attempts(connection, about, address)
            attempts, free_in = await self._people.attempts(connection, about, address, window_seconds)
            if attempts < most:
                await self._people.add_attempt(connection, about, address)
                return
        wait = max(1, round(free_in))
        raise Problem(
            429,
            "too-many-attempts",
            "Too many attempts",
            f"{attempts} {what}.",
            remedy=f"Wait {max(1, round(wait / 60))} min and try again.",
            headers={"retry-after": str(wait)},
        )
