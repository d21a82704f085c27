"""Use cases of API tokens: what lets a program act as a person, in part and for a time."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from kit.db import Database
from kit.queries import Row

from gateway.domain import Person
from gateway.forms.account_fields import days_of, digest, label_of, scopes_of
from gateway.people.accounts import Accounts
from gateway.problems import not_found
from gateway.store import Store
from gateway.stores.people import person_of
from gateway.views.datasets import Scope
from gateway.views.people import NewTokenView, TokenView

TOKEN_PREFIX = "potluck_"  # noqa: S105  it marks tokens for secret scanners; it is none itself
TOUCHED_EVERY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class _Wanted:
    label: str
    scopes: list[Scope]
    days: int | None


def _wanted(fields: dict[str, Any]) -> _Wanted:
    return _Wanted(label_of(fields.get("name")), scopes_of(fields.get("scopes")), days_of(fields.get("expires_days")))


def new_secret() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_token_view(row: Row, secret: str) -> NewTokenView:
    return NewTokenView(
        id=row["token_id"],
        token=secret,
        name=row["name"],
        scopes=row["scopes"],
        created=row["created"],
        expires=row["expires"],
    )


class Tokens:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, accounts: Accounts) -> None:
        self._database = database
        self._people = store.people
        self._accounts = accounts

    async def who_asks(self, fields: dict[str, Any], address: str) -> Person:
        """Who asks for a token with e-mail and password; like signing in, with the same limit."""
        _wanted(fields)
        return await self._accounts.authenticated(fields.get("email"), fields.get("password"), address)

    async def add(self, person: Person, fields: dict[str, Any]) -> NewTokenView:
        return await self._add(person, _wanted(fields))

    async def _add(self, person: Person, wanted: "_Wanted") -> NewTokenView:
        secret = new_secret()
        async with self._database.transaction() as connection:
            row = await self._people.add_token(
                connection, person.id, wanted.label, digest(secret), list(wanted.scopes), wanted.days
            )
        return new_token_view(row, secret)

    async def person(self, secret: str) -> tuple[Person, tuple[Scope, ...]] | None:
        """Whose token it is and what it is for; None when it is not known or has ended."""
        async with self._database.transaction() as connection:
            row = await self._people.by_token(connection, digest(secret))
            if row is None:
                return None
            # Not at every request: a resumable upload makes thousands.
            if _long_ago(row):
                await self._people.touch_token(connection, row["token_id"])
            return person_of(row), tuple(row["scopes"])

    async def all(self, person: Person) -> list[TokenView]:
        async with self._database.transaction() as connection:
            rows = await self._people.tokens(connection, person.id)
        now = datetime.now(UTC)
        return [
            TokenView(
                id=row["token_id"],
                name=row["name"],
                scopes=row["scopes"],
                created=row["created"],
                last_used=row["last_used"],
                expires=row["expires"],
                expired=row["expires"] is not None and row["expires"] <= now,
            )
            for row in rows
        ]

    async def revoke(self, person: Person, token_id: UUID) -> None:
        async with self._database.transaction() as connection:
            if not await self._people.remove_token(connection, person.id, token_id):
                raise not_found("token")


def _long_ago(row: Row) -> bool:
    last_used: datetime | None = row["last_used"]
    return last_used is None or (datetime.now(UTC) - last_used).total_seconds() > TOUCHED_EVERY_SECONDS
