"""Use cases of people: sign up, sign in, sign out, API tokens. Secrets are stored as hashes only."""

import asyncio
import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from kit.db import Database
from kit.logs import get_logger
from pwdlib import PasswordHash

from gateway.domain import Person
from gateway.problems import FieldError, Problem, invalid, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store, person_of
from gateway.views import NewTokenView, PersonView, TokenView

log = get_logger(__name__)

TOKEN_PREFIX = "potluck_"  # noqa: S105  it marks tokens for secret scanners; it is none itself
PASSWORD_LENGTH = range(8, 1001)
NAME_LENGTH = 100
TOKENS_TOUCHED_EVERY_SECONDS = 60

NO_EMAIL = FieldError("email", "This is not an e-mail address.", "Write it as name@example.org, without spaces.")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")


def _is_email(text: str) -> bool:
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def digest(secret: str) -> bytes:
    """What is stored of a session's or token's secret: it is random, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def person_view(person: Person) -> PersonView:
    return PersonView(id=person.id, email=person.email, name=person.name, created=person.created)


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


class Accounts:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._people = store.people
        self._settings = settings
        self._passwords = Passwords(settings.password_hashes_at_once)

    async def sign_up(self, email: Any, name: Any, password: Any) -> Person:
        """Create an account. 422 for fields that cannot be taken, 409 when the address has one."""
        email, name, password = _checked(email, name, password)
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            person = await self._people.add(connection, email, name, password_hash)
        if person is None:
            raise Problem(
                409,
                "account-exists",
                "You have an account already",
                f"There is already an account with the address {email}.",
                field="email",
                remedy="Sign in with it, or sign up with another address.",
            )
        log.info("signed-up", person=str(person.id))
        return person

    async def sign_in(self, email: Any, password: Any, address: str) -> tuple[Person, str]:
        """The person and the secret of a new session. 401 for a wrong pair, 429 after too many."""
        person = await self._authenticated(email, password, address)
        secret = secrets.token_urlsafe(32)
        async with self._database.transaction() as connection:
            await self._people.add_session(connection, person.id, digest(secret), self._settings.session_days * 86400)
        return person, secret

    async def sign_out(self, secret: str) -> None:
        async with self._database.transaction() as connection:
            await self._people.remove_session(connection, digest(secret))

    async def of_session(self, secret: str) -> Person | None:
        async with self._database.transaction() as connection:
            return await self._people.by_session(connection, digest(secret))

    async def new_token(self, email: Any, password: Any, name: Any, address: str) -> NewTokenView:
        """An API token for a program; like signing in, with the same limit."""
        label = _label(name)
        person = await self._authenticated(email, password, address)
        return await self.add_token(person, label)

    async def add_token(self, person: Person, name: Any) -> NewTokenView:
        label = _label(name)
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        async with self._database.transaction() as connection:
            row = await self._people.add_token(connection, person.id, label, digest(secret))
        return NewTokenView(id=row["token_id"], token=secret, name=row["name"], created=row["created"])

    async def of_token(self, secret: str) -> Person | None:
        async with self._database.transaction() as connection:
            row = await self._people.by_token(connection, digest(secret))
            if row is None:
                return None
            # Not at every request: a resumable upload makes thousands.
            if _older_than(row, TOKENS_TOUCHED_EVERY_SECONDS):
                await self._people.touch_token(connection, row["token_id"])
            return person_of(row)

    async def tokens(self, person: Person) -> list[TokenView]:
        async with self._database.transaction() as connection:
            rows = await self._people.tokens(connection, person.id)
        return [
            TokenView(id=row["token_id"], name=row["name"], created=row["created"], last_used=row["last_used"])
            for row in rows
        ]

    async def revoke_token(self, person: Person, token_id: UUID) -> None:
        async with self._database.transaction() as connection:
            if not await self._people.remove_token(connection, person.id, token_id):
                raise not_found("token")

    async def sweep(self) -> None:
        async with self._database.transaction() as connection:
            await self._people.sweep(connection, self._settings.sign_in_window_minutes * 60)

    async def _authenticated(self, email: Any, password: Any, address: str) -> Person:
        account = email.strip().lower() if isinstance(email, str) else ""
        if not _is_email(account):
            raise invalid([NO_EMAIL])
        if not isinstance(password, str) or not password:
            raise invalid([FieldError("password", "The password is missing.", "Fill in the password.")])
        await self._count_attempt(account, address)
        async with self._database.transaction() as connection:
            known = await self._people.by_email(connection, account)
        right, stronger = await self._passwords.verify(password, known[1] if known else None)
        if known is None or not right:
            raise Problem(
                401,
                "wrong-password",
                "That did not match",
                "There is no account with this e-mail address and password.",
                remedy="Check both and try again, or sign up.",
            )
        if known[0].suspended is not None:
            raise Problem(
                403,
                "suspended",
                "This account is suspended",
                "An operator has suspended it. Your datasets are where they were.",
                remedy="Write to whoever runs this site.",
            )
        async with self._database.transaction() as connection:
            await self._people.clear_attempts(connection, account, address)
            if stronger:
                await self._people.replace_hash(connection, known[0].id, stronger)
        return known[0]

    async def _count_attempt(self, account: str, address: str) -> None:
        window = self._settings.sign_in_window_minutes * 60
        async with self._database.transaction() as connection:
            await self._people.lock_attempts(connection, account, address)
            attempts, free_in = await self._people.attempts(connection, account, address, window)
            if attempts < self._settings.sign_in_attempts:
                await self._people.add_attempt(connection, account, address)
                return
        wait = max(1, round(free_in))
        raise Problem(
            429,
            "too-many-attempts",
            "Too many attempts",
            f"{attempts} attempts to sign in did not succeed.",
            remedy=f"Wait {max(1, round(wait / 60))} min and try again.",
            headers={"retry-after": str(wait)},
        )


def _older_than(row: dict[str, Any], seconds: float) -> bool:
    return row["last_used"] is None or (datetime.now(UTC) - row["last_used"]).total_seconds() > seconds


def _label(name: Any) -> str:
    label = name.strip() if isinstance(name, str) else ""
    if not label or len(label) > NAME_LENGTH or not label.isprintable():
        raise invalid(
            [
                FieldError(
                    "name",
                    f"A token needs a name of 1 to {NAME_LENGTH} characters.",
                    "Name what will use it, e.g. 'laptop'.",
                )
            ]
        )
    return label


def _checked(email: Any, name: Any, password: Any) -> tuple[str, str, str]:
    errors = []
    email = email.strip().lower() if isinstance(email, str) else ""
    name = name.strip() if isinstance(name, str) else ""
    if not _is_email(email):
        errors.append(NO_EMAIL)
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        errors.append(
            FieldError(
                "name", f"A name has 1 to {NAME_LENGTH} characters.", "Write your name as it should be credited."
            )
        )
    if not isinstance(password, str) or len(password) not in PASSWORD_LENGTH:
        errors.append(
            FieldError(
                "password",
                f"A password has {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters.",
                "Choose a longer one; a sentence is easy to remember.",
            )
        )
    elif password.strip().lower() == email and email:
        errors.append(FieldError("password", "The password is the e-mail address.", "Choose another one."))
    if errors:
        raise invalid(errors)
    return email, name, str(password)
