"""The part of the store that is about people: accounts, identities, sessions, tokens, one-time links, mails."""

from dataclasses import dataclass
from uuid import UUID

from contracts.base import DatasetRef
from kit.queries import Connection, Queries, Row

from gateway.domain import Person


def person_of(row: Row) -> Person:
    return Person(
        row["person_id"],
        row["email"],
        row["name"],
        row["created"],
        row["language"],
        row["mail_when_done"],
        row["password_hash"] is not None,
        row["operator"],
        row["suspended"],
    )


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody as a provider knows them."""

    provider: str
    subject: str
    name: str = ""
    email: str = ""


class People:
    """Accounts, sessions, tokens, attempts to sign in."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add(
        self, c: Connection, email: str, name: str, password_hash: str | None, language: str
    ) -> Person | None:
        """None when the address has an account already."""
        row = await self._q.one(
            c, "insert_person", email=email, full_name=name, password_hash=password_hash, language=language
        )
        return person_of(row) if row else None

    async def get(self, c: Connection, person_id: UUID) -> tuple[Person, str | None]:
        """The person and the stored hash. The account exists."""
        row = await self._q.row(c, "person", person_id=person_id)
        return person_of(row), row["password_hash"]

    async def by_email(self, c: Connection, email: str) -> tuple[Person, str | None] | None:
        """The person and the stored hash, if they have a password."""
        row = await self._q.one(c, "person_by_email", email=email)
        return (person_of(row), row["password_hash"]) if row else None

    async def replace_hash(self, c: Connection, person_id: UUID, password_hash: str) -> None:
        await self._q.execute(c, "replace_password_hash", person_id=person_id, password_hash=password_hash)

    async def set_profile(
        self, c: Connection, person_id: UUID, name: str, mail_when_done: bool, language: str
    ) -> Person:
        row = await self._q.row(
            c, "set_profile", person_id=person_id, full_name=name, mail_when_done=mail_when_done, language=language
        )
        return person_of(row)

    async def add_session(
        self, c: Connection, person_id: UUID, secret_sha256: bytes, device: str, seconds: float
    ) -> None:
        await self._q.execute(
            c, "insert_session", person_id=person_id, secret_sha256=secret_sha256, device=device, seconds=seconds
        )

    async def by_session(self, c: Connection, secret_sha256: bytes) -> Row | None:
        return await self._q.one(c, "person_by_session", secret_sha256=secret_sha256)

    async def by_session_before(self, c: Connection, secret_sha256: bytes, dataset_id: UUID) -> Row | None:
        """As `by_session`, with `versions`, `told` and `sees_more` of a dataset."""
        return await self._q.one(c, "person_before_dataset", secret_sha256=secret_sha256, dataset_id=dataset_id)

    async def touch_session(self, c: Connection, session_id: UUID) -> None:
        await self._q.execute(c, "touch_session", session_id=session_id)

    async def sessions(self, c: Connection, person_id: UUID, secret_sha256: bytes) -> list[Row]:
        """Last seen first; `current` is the one with that secret."""
        return await self._q.all(c, "sessions_of", person_id=person_id, secret_sha256=secret_sha256)

    async def remove_session(self, c: Connection, secret_sha256: bytes) -> None:
        await self._q.execute(c, "delete_session", secret_sha256=secret_sha256)

    async def remove_session_of(self, c: Connection, person_id: UUID, session_id: UUID) -> bool:
        return await self._q.execute(c, "delete_session_of", person_id=person_id, session_id=session_id) == 1

    async def remove_other_sessions(self, c: Connection, person_id: UUID, secret_sha256: bytes) -> int:
        return await self._q.execute(c, "delete_other_sessions", person_id=person_id, secret_sha256=secret_sha256)

    async def add_token(
        self, c: Connection, person_id: UUID, name: str, secret_sha256: bytes, scopes: list[str], days: int | None
    ) -> Row:
        return await self._q.row(
            c,
            "insert_token",
            person_id=person_id,
            label=name,
            secret_sha256=secret_sha256,
            scopes=scopes,
            days=days,
        )

    async def by_token(self, c: Connection, secret_sha256: bytes) -> Row | None:
        return await self._q.one(c, "person_by_token", secret_sha256=secret_sha256)

    async def touch_token(self, c: Connection, token_id: UUID) -> None:
        await self._q.execute(c, "touch_token", token_id=token_id)

    async def tokens(self, c: Connection, person_id: UUID) -> list[Row]:
        return await self._q.all(c, "tokens_of", person_id=person_id)

    async def remove_token(self, c: Connection, person_id: UUID, token_id: UUID) -> bool:
        return await self._q.execute(c, "delete_token", person_id=person_id, token_id=token_id) == 1

    async def lock_attempts(self, c: Connection, account: str, address: str) -> None:
        """Until the transaction ends nobody else counts attempts of this pair."""
        await self._q.execute(c, "lock_attempts", account=account, address=address)

    async def add_attempt(self, c: Connection, account: str, address: str) -> None:
        await self._q.execute(c, "insert_attempt", account=account, address=address)

    async def attempts(self, c: Connection, account: str, address: str, window_seconds: float) -> tuple[int, float]:
        """How many within the window, and in how many seconds the oldest leaves it."""
        found = await self._q.row(c, "count_attempts", account=account, address=address, window_seconds=window_seconds)
        return found["attempts"], float(found["free_in_seconds"] or 0)

    async def clear_attempts(self, c: Connection, account: str, address: str) -> None:
        await self._q.execute(c, "clear_attempts", account=account, address=address)

    async def sweep(self, c: Connection, window_seconds: float) -> None:
        """Remove sessions, links, flows and attempts that no longer matter."""
        await self._q.execute(c, "delete_expired")
        await self._q.execute(c, "delete_old_attempts", window_seconds=window_seconds)


class Identities:
    """Who a provider vouched for, and sign-ins on their way through one."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def person(self, c: Connection, vouched: Vouched) -> Person | None:
        row = await self._q.one(c, "person_by_identity", provider=vouched.provider, subject=vouched.subject)
        return person_of(row) if row else None

    async def add(self, c: Connection, vouched: Vouched, person_id: UUID) -> bool:
        """False when somebody has it already."""
        row = await self._q.one(
            c, "insert_identity", provider=vouched.provider, subject=vouched.subject, person_id=person_id
        )
        return row is not None

    async def of(self, c: Connection, person_id: UUID) -> list[Row]:
        return await self._q.all(c, "identities_of", person_id=person_id)

    async def lock(self, c: Connection, person_id: UUID) -> bool:
        """Whether the person has a password; their identities stay as they are until the transaction ends."""
        return bool((await self._q.row(c, "lock_person", person_id=person_id))["has_password"])

    async def remove(self, c: Connection, person_id: UUID, provider: str, subject: str) -> bool:
        return await self._q.execute(c, "delete_identity", person_id=person_id, provider=provider, subject=subject) == 1

    async def add_flow(
        self,
        c: Connection,
        secret_sha256: bytes,
        provider: str,
        verifier: str,
        nonce: str,
        target: str,
        person_id: UUID | None,
        seconds: float,
    ) -> None:
        await self._q.execute(
            c,
            "insert_flow",
            secret_sha256=secret_sha256,
            provider=provider,
            verifier=verifier,
            nonce=nonce,
            next=target,
            person_id=person_id,
            seconds=seconds,
        )

    async def flow(self, c: Connection, secret_sha256: bytes) -> Row | None:
        """Held until the transaction ends: one callback uses it."""
        return await self._q.one(c, "flow", secret_sha256=secret_sha256)

    async def vouch(self, c: Connection, secret_sha256: bytes, vouched: Vouched) -> None:
        await self._q.execute(
            c,
            "set_flow_vouched",
            secret_sha256=secret_sha256,
            subject=vouched.subject,
            full_name=vouched.name,
            email=vouched.email,
        )

    async def remove_flow(self, c: Connection, secret_sha256: bytes) -> None:
        await self._q.execute(c, "delete_flow", secret_sha256=secret_sha256)


class Letters:
    """One-time links, mails that wait, and what was told already."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add_link(self, c: Connection, secret_sha256: bytes, person_id: UUID, seconds: float) -> None:
        await self._q.execute(c, "insert_link", secret_sha256=secret_sha256, person_id=person_id, seconds=seconds)

    async def has_link(self, c: Connection, secret_sha256: bytes) -> bool:
        return await self._q.one(c, "link", secret_sha256=secret_sha256) is not None

    async def use_link(self, c: Connection, secret_sha256: bytes) -> Person | None:
        row = await self._q.one(c, "use_link", secret_sha256=secret_sha256)
        return person_of(row) if row else None

    async def add(self, c: Connection, recipient: str, subject: str, body: str) -> None:
        await self._q.execute(c, "insert_mail", recipient=recipient, subject=subject, body=body)

    async def due(self, c: Connection) -> Row | None:
        """The next one to send, held until the transaction ends."""
        return await self._q.one(c, "due_mail")

    async def remove(self, c: Connection, mail_id: int) -> None:
        await self._q.execute(c, "delete_mail", mail_id=mail_id)

    async def postpone(self, c: Connection, mail_id: int, seconds: float) -> None:
        await self._q.execute(c, "postpone_mail", mail_id=mail_id, seconds=seconds)

    async def first_notice(self, c: Connection, ref: DatasetRef, state: str) -> bool:
        """False when it was told already."""
        key = {"dataset_id": ref.dataset_id, "version": ref.version}
        return await self._q.one(c, "insert_notice", **key, state=state) is not None

    async def who_wants_notices(self, c: Connection, ref: DatasetRef) -> Row | None:
        """E-mail and language of the owner, and the dataset's name; None when the owner wants none."""
        return await self._q.one(c, "to_be_noticed", dataset_id=ref.dataset_id, version=ref.version)
