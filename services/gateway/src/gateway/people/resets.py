"""Use cases of a forgotten password: a one-time link, by mail or from the operator."""

import secrets
from typing import Any

from kit.db import Database
from kit.logs import get_logger

from gateway.domain import Person
from gateway.forms.account_fields import digest, email_of, password_of
from gateway.people.accounts import Accounts
from gateway.people.mail import Letter, letter
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from gateway.store import Store

log = get_logger(__name__)

REQUESTS_PER_HOUR = 5
HOUR = 3600


class Resets:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, accounts: Accounts, settings: GatewaySettings) -> None:
        self._database = database
        self._people = store.people
        self._letters = store.letters
        self._accounts = accounts
        self._settings = settings

    async def ask(self, email: Any, address: str) -> bool:
        """Send a link to who has that address; False when this platform sends no mail.

        The answer is the same whether or not there is such an account.
        """
        account = email_of(email)
        if not self._settings.sends_mail:
            return False
        what = "links were asked for"
        await self._accounts.attempts.count(f"reset {account}", address, REQUESTS_PER_HOUR, HOUR, what)
        async with self._database.transaction() as connection:
            known = await self._people.by_email(connection, account)
            if known is None:
                return True
            person = known[0]
            secret = secrets.token_urlsafe(32)
            await self._letters.add_link(connection, digest(secret), person.id, self._settings.reset_link_hours * HOUR)
            link, hours = self._link(secret), f"{self._settings.reset_link_hours:g}"
            told = letter(person.language, Letter.RESET, name=person.name, link=link, hours=hours)
            await self._letters.add(connection, person.email, told.subject, told.body)
        log.info("reset-link-sent", person=str(person.id))
        return True

    async def link_for(self, email: str) -> str | None:
        """A link for the operator to hand over; None when there is no such account."""
        account = email_of(email)
        async with self._database.transaction() as connection:
            known = await self._people.by_email(connection, account)
            if known is None:
                return None
            secret = secrets.token_urlsafe(32)
            seconds = self._settings.reset_link_hours * HOUR
            await self._letters.add_link(connection, digest(secret), known[0].id, seconds)
        return self._link(secret)

    async def check(self, secret: str) -> None:
        """Raises Problem 404 when the link was used, has expired or never was."""
        async with self._database.transaction() as connection:
            if not await self._letters.has_link(connection, digest(secret)):
                raise _link_is_over()

    async def finish(self, secret: str, password: Any) -> Person:
        """Sets the password, ends the person's links and signs them out everywhere. 404 when the link is over."""
        password = password_of(password, "")
        password_hash = await self._accounts.passwords.hash(password)
        async with self._database.transaction() as connection:
            person = await self._letters.use_link(connection, digest(secret))
            if person is None:
                raise _link_is_over()
            password_of(password, person.email)
            await self._people.replace_hash(connection, person.id, password_hash)
            await self._people.remove_other_sessions(connection, person.id, b"")
        log.info("password-reset", person=str(person.id))
        return person

    def _link(self, secret: str) -> str:
        """Never of what a request calls this site: who asks for somebody else's link would choose where it leads."""
        return f"{self._settings.site_url}/reset/{secret}"


def _link_is_over() -> Problem:
    return Problem(
        404,
        "link-is-over",
        "This link has ended",
        "It was used already, has expired, or was cut when it was copied.",
        remedy="Ask for a new one.",
    )
