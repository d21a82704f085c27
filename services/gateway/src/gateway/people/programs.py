"""Use cases of signing a program in by the browser (in the manner of RFC 8628).

The program gets a secret and a short code; its user opens a page, compares the code and says yes or no there; the
program asks with its secret and gets a token, once. Nothing listens on the user's machine.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.db import Database
from kit.logs import get_logger
from kit.queries import Row

from gateway.domain import Person
from gateway.forms.account_fields import days_of, digest, label_of, scopes_of
from gateway.people.accounts import Accounts
from gateway.people.tokens import new_secret, new_token_view
from gateway.problems import Problem, invalid_field
from gateway.store import Store
from gateway.views.datasets import Scope
from gateway.views.people import NewTokenView, ProgramSignInView

log = get_logger(__name__)

# No vowels, so that no code spells a word; 20^8 of them, for ten minutes each.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8
SECONDS = 600
INTERVAL_SECONDS = 2
BEGUN_PER_HOUR = 60
HOUR = 3600
WRONG_CODES = 10
WINDOW_SECONDS = 900
DEFAULT_DAYS = 90
DEFAULT_SCOPES = ["read", "contribute"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A program that waits for a person's word, as the page shows it. `code`: as it is read out."""

    code: str
    label: str
    address: str
    scopes: tuple[Scope, ...]
    days: int | None
    created: datetime


def code_of(typed: Any) -> str | None:
    """Letters of a code, however they were typed; None when it cannot be one."""
    letters = "".join(one for one in str(typed or "").upper() if one.isalnum())
    return letters if len(letters) == CODE_LENGTH and set(letters) <= set(ALPHABET) else None


def shown(letters: str) -> str:
    return f"{letters[:4]}-{letters[4:]}"


class Programs:
    """Raises Problem for everything that a person or program can put right."""

    def __init__(self, database: Database, store: Store, accounts: Accounts) -> None:
        self._database = database
        self._waiting = store.program_sign_ins
        self._people = store.people
        self._accounts = accounts

    async def begin(self, fields: dict[str, Any], address: str, site: str) -> ProgramSignInView:
        """A program asks to be signed in. 422 for wrong fields, 429 after many from one address."""
        label = label_of(fields.get("name"))
        scopes = scopes_of(fields.get("scopes", DEFAULT_SCOPES))
        days = days_of(fields.get("expires_days", DEFAULT_DAYS))
        what = "programs asked to be signed in from where you are"
        await self._accounts.attempts.count("program", address, BEGUN_PER_HOUR, HOUR, what)
        secret, expires = secrets.token_urlsafe(32), None
        while expires is None:
            letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
            async with self._database.transaction() as connection:
                expires = await self._waiting.add(
                    connection,
                    digest(secret),
                    digest(letters),
                    label=label,
                    address=address,
                    scopes=list(scopes),
                    days=days,
                    seconds=SECONDS,
                )
        return ProgramSignInView(
            secret=secret,
            code=shown(letters),
            url=f"{site}/device",
            url_with_code=f"{site}/device?code={shown(letters)}",
            expires=expires,
            expires_seconds=SECONDS,
            interval_seconds=INTERVAL_SECONDS,
        )

    async def find(self, person: Person, typed: Any) -> Waiting:
        """The program that shows this code. 422 when none waits with it, 429 after too many that were wrong."""
        letters = code_of(typed)
        row: Row | None = None
        if letters is not None:
            async with self._database.transaction() as connection:
                row = await self._waiting.by_code(connection, digest(letters))
        if letters is None or row is None:
            await self._accounts.attempts.count(
                f"code {person.id}", "", WRONG_CODES, WINDOW_SECONDS, "codes were not right"
            )
            raise _no_such_code()
        return Waiting(shown(letters), row["label"], row["address"], tuple(row["scopes"]), row["days"], row["created"])

    async def approve(self, person: Person, typed: Any, scopes: Any, days: Any) -> None:
        """The program will get a token of this person, for no more than it asked for."""
        waiting = await self.find(person, typed)
        chosen = scopes_of(scopes if scopes is not None else [])
        if more := set(chosen) - set(waiting.scopes):
            raise invalid_field(
                "scopes", f"The program did not ask for: {', '.join(sorted(more))}.", "Choose among what it asked for."
            )
        await self._decide(person, waiting, "approved", list(chosen), days_of(days))

    async def deny(self, person: Person, typed: Any) -> None:
        waiting = await self.find(person, typed)
        await self._decide(person, waiting, "denied", list(waiting.scopes), waiting.days)

    async def _decide(self, person: Person, waiting: Waiting, state: str, scopes: list[str], days: int | None) -> None:
        letters = code_of(waiting.code) or ""
        async with self._database.transaction() as connection:
            if not await self._waiting.decide(connection, digest(letters), person.id, state, scopes, days):
                raise _no_such_code()
        log.info("program-sign-in-decided", person=str(person.id), state=state, scopes=scopes)

    async def token(self, fields: dict[str, Any]) -> NewTokenView:
        """The token, once. 428 nothing was said yet, 429 asked too soon, 403 denied, 410 over."""
        secret = fields.get("secret")
        hashed = digest(secret if isinstance(secret, str) else "")
        said: Problem | None = None
        async with self._database.transaction() as connection:
            row = await self._waiting.held(connection, hashed, INTERVAL_SECONDS * 0.8)
            if row is None:
                raise _over()
            if row["state"] == "approved":
                await self._waiting.remove(connection, hashed)
                token = new_secret()
                made = await self._people.add_token(
                    connection, row["person_id"], row["label"], digest(token), row["scopes"], row["days"]
                )
                return new_token_view(made, token)
            if row["state"] == "denied":
                await self._waiting.remove(connection, hashed)
                said = _denied()
            else:
                await self._waiting.touch(connection, hashed)
                said = _too_soon() if row["quick"] else _nothing_said()
        raise said

    async def sweep(self) -> None:
        async with self._database.transaction() as connection:
            await self._waiting.sweep(connection)


def _no_such_code() -> Problem:
    return invalid_field(
        "code",
        "No program waits with this code.",
        "Compare it with the program's window. A code works once and for ten minutes: start again there for a new one.",
    )


def _nothing_said() -> Problem:
    return Problem(
        428,
        "sign-in-waits",
        "Not decided yet",
        "Nobody has approved this sign-in yet.",
        remedy="Open the address, compare the code, and approve it there.",
        headers={"retry-after": str(INTERVAL_SECONDS)},
    )


def _too_soon() -> Problem:
    return Problem(
        429,
        "sign-in-asked-too-soon",
        "Too soon",
        f"Ask every {INTERVAL_SECONDS} s, not more often.",
        headers={"retry-after": str(INTERVAL_SECONDS)},
    )


def _denied() -> Problem:
    return Problem(
        403, "sign-in-denied", "Denied", "The sign-in was denied on the page.", remedy="Start again if it was you."
    )


def _over() -> Problem:
    return Problem(
        410,
        "sign-in-over",
        "Over",
        "This sign-in has expired, or its token was handed out already.",
        remedy="Start again: a code works once and for ten minutes.",
    )
