"""Use cases of signing in with an account elsewhere: start, come back, finish, connect, disconnect."""

import secrets
from dataclasses import dataclass
from typing import Any

from kit.db import Database
from kit.logs import get_logger
from kit.queries import Row

from gateway.domain import Person
from gateway.forms.account_fields import digest, email_of, name_of
from gateway.people.accounts import Accounts, account_exists
from gateway.people.providers import Wire
from gateway.problems import Problem, not_found
from gateway.provider_settings import Provider
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.stores.people import Vouched
from gateway.views.people import IdentityView

log = get_logger(__name__)

FLOW_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-in that has begun: the browser keeps the secret and goes to the address."""

    secret: str
    url: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody came back. Without a session they have no account yet and are asked for a name and an address."""

    session: str | None
    next: str


class Identities:
    """Raises Problem for everything that a person can put right.

    Accounts are never joined by e-mail address: a provider that does not verify addresses could open anybody's. Who
    has an account signs in with the password once and connects the other one on the account's page.
    """

    def __init__(self, database: Database, store: Store, accounts: Accounts, settings: GatewaySettings) -> None:
        self._database = database
        self._people = store.people
        self._identities = store.identities
        self._accounts = accounts
        self._settings = settings
        self._wires = {provider.id: Wire(provider) for provider in settings.providers}

    @property
    def providers(self) -> tuple[Provider, ...]:
        return self._settings.providers

    async def start(self, provider_id: str, person: Person | None, target: str) -> Started:
        """`person`: who is signed in and wants to connect the other account."""
        wire = self._wire(provider_id)
        secret, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = await wire.authorize_url(self._back(provider_id), _state(secret), nonce, verifier)
        async with self._database.transaction() as connection:
            await self._identities.add_flow(
                connection,
                digest(secret),
                provider_id,
                verifier,
                nonce,
                target,
                person.id if person else None,
                FLOW_SECONDS,
            )
        return Started(secret, url)

    async def arrive(self, provider_id: str, secret: str | None, query: dict[str, str], device: str) -> Arrived:
        """The provider sent the browser back. The secret of its cookie must be that which the state was made of."""
        wire = self._wire(provider_id)
        flow = await self._flow(secret)
        if flow["provider"] != provider_id or not secrets.compare_digest(query.get("state", ""), _state(secret or "")):
            raise _flow_is_over()
        if "code" not in query:
            raise Problem(
                400,
                "not-allowed-there",
                "You are not signed in",
                f"{wire.provider.title} was not allowed to tell us who you are.",
                remedy="Start again from the sign-in page, or use your password.",
            )
        vouched = await wire.vouched(self._back(provider_id), query["code"], flow["nonce"], flow["verifier"])
        async with self._database.transaction() as connection:
            key = digest(secret or "")
            if await self._identities.flow(connection, key) is None:
                raise _flow_is_over()
            known = await self._identities.person(connection, vouched)
            if flow["person_id"] is not None:
                await self._identities.remove_flow(connection, key)
                if known is not None and known.id != flow["person_id"]:
                    raise _taken(wire.provider)
                await self._identities.add(connection, vouched, flow["person_id"])
                log.info("identity-connected", person=str(flow["person_id"]), provider=provider_id)
                return Arrived(None, "/account#sign-in")
            if known is None:
                await self._identities.vouch(connection, key, vouched)
                return Arrived(None, "/sign-up/finish")
            await self._identities.remove_flow(connection, key)
            return Arrived(await self._accounts.open_session(connection, known, device), flow["next"])

    async def pending(self, secret: str | None) -> Vouched:
        """Who is about to get an account. 404 when there is nobody."""
        flow = await self._flow(secret)
        if flow["subject"] is None:
            raise _flow_is_over()
        return Vouched(flow["provider"], flow["subject"], flow["name"], flow["email"])

    async def finish(self, secret: str | None, name: Any, email: Any, device: str, language: str) -> Arrived:
        """The account of somebody whom a provider vouched for, and a session. 409 when the address has an account."""
        vouched = await self.pending(secret)
        name, email = name_of(name), email_of(email)
        async with self._database.transaction() as connection:
            key = digest(secret or "")
            flow = await self._identities.flow(connection, key)
            if flow is None:
                raise _flow_is_over()
            person = await self._people.add(connection, email, name, None, language)
            if person is None:
                raise account_exists(email)
            if not await self._identities.add(connection, vouched, person.id):
                raise _taken(self._wire(vouched.provider).provider)
            await self._identities.remove_flow(connection, key)
            session = await self._accounts.open_session(connection, person, device)
        log.info("signed-up", person=str(person.id), provider=vouched.provider)
        return Arrived(session, flow["next"])

    async def of(self, person: Person) -> list[IdentityView]:
        async with self._database.transaction() as connection:
            rows = await self._identities.of(connection, person.id)
        titles = {provider.id: provider.title for provider in self.providers}
        return [
            IdentityView(
                provider=row["provider"],
                title=titles.get(row["provider"], row["provider"]),
                subject=row["subject"],
                created=row["created"],
            )
            for row in rows
        ]

    async def disconnect(self, person: Person, provider: str, subject: str) -> None:
        """409 when it is the only way in."""
        async with self._database.transaction() as connection:
            has_password = await self._identities.lock(connection, person.id)
            if not has_password and len(await self._identities.of(connection, person.id)) < 2:
                raise Problem(
                    409,
                    "only-way-in",
                    "This is your only way in",
                    "Without it and without a password you could not sign in again.",
                    remedy="Set a password first.",
                )
            if not await self._identities.remove(connection, person.id, provider, subject):
                raise not_found("account elsewhere")

    async def _flow(self, secret: str | None) -> Row:
        async with self._database.transaction() as connection:
            flow = await self._identities.flow(connection, digest(secret)) if secret else None
        if flow is None:
            raise _flow_is_over()
        return flow

    def _wire(self, provider_id: str) -> Wire:
        if provider_id not in self._wires:
            raise not_found("way to sign in")
        return self._wires[provider_id]

    def _back(self, provider_id: str) -> str:
        return f"{self._settings.site_url}/sign-in/with/{provider_id}/back"


def _state(secret: str) -> str:
    """Goes through addresses, where it may be seen; the secret stays in the cookie."""
    return digest("state " + secret).hex()


def _flow_is_over() -> Problem:
    return Problem(
        404,
        "sign-in-is-over",
        "This sign-in has ended",
        "It took too long, was finished in another tab, or was started in another browser.",
        remedy="Start again from the sign-in page.",
    )


def _taken(provider: Provider) -> Problem:
    return Problem(
        409,
        "identity-taken",
        "Connected to another account",
        f"This {provider.title} account is connected to another account here.",
        remedy="Sign in with it, and disconnect it there first.",
    )
