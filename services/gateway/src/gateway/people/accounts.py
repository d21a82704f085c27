"""Use cases of people: sign up, sign in, sign out, sessions, the profile. Secrets are stored as hashes only."""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection, Row

from gateway.domain import Mark, Person
from gateway.forms.account_fields import digest, email_of, name_of, password_of, sign_up_fields
from gateway.people.passwords import Attempts, Passwords
from gateway.problems import FieldError, Problem, invalid, invalid_field, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.stores.people import person_of
from gateway.views.people import PersonView, SessionView

log = get_logger(__name__)

SEEN_EVERY_SECONDS = 300
DEVICE_LENGTH = 200
SIGN_UP_SECONDS = 3600


def person_view(person: Person) -> PersonView:
    return PersonView(
        id=person.id,
        email=person.email,
        name=person.name,
        created=person.created,
        language=person.language,
        mail_when_done=person.mail_when_done,
    )


def account_exists(email: str) -> Problem:
    return Problem(
        409,
        "account-exists",
        "You have an account already",
        f"There is already an account with the address {email}.",
        field="email",
        remedy="Sign in with it, or sign up with another address.",
    )


class Accounts:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._people = store.people
        self._settings = settings
        self.passwords = Passwords(settings.password_hashes_at_once)
        self.attempts = Attempts(database, store.people)

    async def sign_up(self, email: Any, name: Any, password: Any, address: str, language: str = "en") -> Person:
        """Create an account. 422 for fields that cannot be taken, 409 when the address has one, 429 after many."""
        email, name, password = sign_up_fields(email, name, password)
        most = self._settings.sign_ups_per_hour
        await self.attempts.count("sign-up", address, most, SIGN_UP_SECONDS, "accounts were made from where you are")
        password_hash = await self.passwords.hash(password)
        async with self._database.transaction() as connection:
            person = await self._people.add(connection, email, name, password_hash, language)
        if person is None:
            raise account_exists(email)
        log.info("signed-up", person=str(person.id))
        return person

    async def sign_in(self, email: Any, password: Any, address: str, device: str = "") -> tuple[Person, str]:
        """The person and the secret of a new session. 401 for a wrong pair, 429 after too many."""
        person = await self.authenticated(email, password, address)
        async with self._database.transaction() as connection:
            return person, await self.open_session(connection, person, device)

    async def open_session(self, connection: Connection, person: Person, device: str) -> str:
        """The secret of a new session, in the caller's transaction."""
        secret = secrets.token_urlsafe(32)
        seconds = self._settings.session_days * 86400
        await self._people.add_session(connection, person.id, digest(secret), device[:DEVICE_LENGTH], seconds)
        return secret

    async def sign_out(self, secret: str) -> None:
        async with self._database.transaction() as connection:
            await self._people.remove_session(connection, digest(secret))

    async def of_session(self, secret: str) -> Person | None:
        row = await self._database.statement(lambda c: self._people.by_session(c, digest(secret)))
        return await self._seen(row) if row else None

    async def of_session_before(self, secret: str, dataset_id: UUID) -> tuple[Person, Mark | None] | None:
        """The person, and what they may see of a dataset now; no mark when that is nothing."""
        row = await self._database.statement(lambda c: self._people.by_session_before(c, digest(secret), dataset_id))
        if row is None:
            return None
        person = await self._seen(row)
        apart = person.id if row["sees_more"] else None
        return person, Mark(dataset_id, row["versions"], row["told"], apart) if row["versions"] else None

    async def _seen(self, row: Row) -> Person:
        if (datetime.now(UTC) - row["last_seen"]).total_seconds() > SEEN_EVERY_SECONDS:
            async with self._database.transaction() as connection:
                await self._people.touch_session(connection, row["session_id"])
        return person_of(row)

    async def sessions(self, person: Person, secret: str | None) -> list[SessionView]:
        """Where the person is signed in; `secret` is that of the session that asks."""
        async with self._database.transaction() as connection:
            rows = await self._people.sessions(connection, person.id, digest(secret or ""))
        return [
            SessionView(
                id=row["session_id"],
                device=row["device"],
                created=row["created"],
                last_seen=row["last_seen"],
                current=row["current"],
            )
            for row in rows
        ]

    async def end_session(self, person: Person, session_id: UUID) -> None:
        async with self._database.transaction() as connection:
            if not await self._people.remove_session_of(connection, person.id, session_id):
                raise not_found("session")

    async def end_other_sessions(self, person: Person, secret: str | None) -> int:
        """How many were ended: all but the one that asks."""
        async with self._database.transaction() as connection:
            return await self._people.remove_other_sessions(connection, person.id, digest(secret or ""))

    async def set_profile(self, person: Person, name: Any, mail_when_done: Any, language: str) -> Person:
        """The name is that of new entries; earlier ones keep the authors that they were published with."""
        name = name_of(name)
        if not isinstance(mail_when_done, bool):
            raise invalid_field("mail_when_done", "This is neither yes nor no.", "Send true or false.")
        async with self._database.transaction() as connection:
            return await self._people.set_profile(connection, person.id, name, mail_when_done, language)

    async def change_password(self, person: Person, old: Any, new: Any, address: str, secret: str | None) -> None:
        """Ends every other session: whoever knew the old password is out. 422 for a wrong old one."""
        new = password_of(new, person.email, "new_password")
        await self._count(person.email, address)
        async with self._database.transaction() as connection:
            _, stored = await self._people.get(connection, person.id)
        right, _ = await self.passwords.verify(old if isinstance(old, str) else "", stored)
        if stored is not None and not right:
            detail = "This is not your current password."
            raise invalid([FieldError("password", detail, "Type the one that you sign in with now.")])
        password_hash = await self.passwords.hash(new)
        async with self._database.transaction() as connection:
            await self._people.replace_hash(connection, person.id, password_hash)
            await self._people.clear_attempts(connection, person.email, address)
            ended = await self._people.remove_other_sessions(connection, person.id, digest(secret or ""))
        log.info("password-changed", person=str(person.id), sessions_ended=ended)

    async def sweep(self) -> None:
        longest = max(self._settings.sign_in_window_minutes * 60, SIGN_UP_SECONDS)
        async with self._database.transaction() as connection:
            await self._people.sweep(connection, longest)

    async def authenticated(self, email: Any, password: Any, address: str) -> Person:
        """Whose address and password these are. 401 for a wrong pair, 429 after too many."""
        account = email_of(email)
        if not isinstance(password, str) or not password:
            raise invalid([FieldError("password", "The password is missing.", "Fill in the password.")])
        await self._count(account, address)
        async with self._database.transaction() as connection:
            known = await self._people.by_email(connection, account)
        right, stronger = await self.passwords.verify(password, known[1] if known else None)
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

    async def who_repeats(self, email: Any, password: Any, address: str) -> Person | None:
        """Whose address and password these are; None for a wrong pair. 429 after too many."""
        try:
            return await self.authenticated(email, password, address)
        except Problem as problem:
            if problem.rule != "wrong-password":
                raise
            return None

    async def _count(self, account: str, address: str) -> None:
        window = self._settings.sign_in_window_minutes * 60
        most = self._settings.sign_in_attempts
        await self.attempts.count(account, address, most, window, "attempts to sign in did not succeed")
