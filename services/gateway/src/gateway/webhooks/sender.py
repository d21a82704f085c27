"""Sends what waits for webhooks: at least once, each on its own, and never into our own network."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from socket import SOCK_STREAM
from uuid import UUID

import httpx
import psycopg
from contracts.envelope import STRUCTURED_TYPE
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection, Row

from gateway.people.mail import Letter, letter
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.webhooks.rules import delay_after, is_public_address, signature

log = get_logger(__name__)

CHANNEL = "gateway_webhooks"
POLL_SECONDS = 1.0
TIDY_SECONDS = 60.0
IN_FLIGHT = 128
CLAIM_SPARE_SECONDS = 20.0
ANSWER_BYTES = 4096
PROBLEM_LENGTH = 300
KEPT_DAYS = 30
GONE = 410

Resolve = Callable[[str, int], Awaitable[list[str]]]


class Refused(Exception):
    """The address is not one that we send to; the words are for its owner."""


async def resolved(host: str, port: int) -> list[str]:
    """IP addresses, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@cache
def _trusted() -> ssl.SSLContext:
    """Whom this system trusts, read once a process: it takes tens of milliseconds."""
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try. `status`: none without an answer."""

    status: int | None
    problem: str

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Post:
    """One signed POST. `anywhere`: addresses of this machine and its networks may be meant."""

    def __init__(
        self, seconds: float, *, anywhere: bool, resolve: Resolve = resolved, tls: ssl.SSLContext | None = None
    ) -> None:
        self._seconds = seconds
        self._anywhere = anywhere
        self._resolve = resolve
        self._client = httpx.AsyncClient(
            verify=tls or _trusted(),
            follow_redirects=False,
            trust_env=False,
            timeout=seconds,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def send(self, url: str, secret: str, message_id: str, body: bytes) -> Outcome:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._send(httpx.URL(url), secret, message_id, body)
        except TimeoutError:
            return Outcome(None, f"no answer within {self._seconds:g} s")
        except Refused as error:
            return Outcome(None, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:PROBLEM_LENGTH])

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, url: httpx.URL, secret: str, message_id: str, body: bytes) -> Outcome:
        port = url.port or (443 if url.scheme == "https" else 80)
        address = self._chosen(await self._resolve(url.host, port))
        now = int(time.time())
        headers = {
            "host": url.netloc.decode(),
            "content-type": STRUCTURED_TYPE,
            "accept-encoding": "identity",
            "user-agent": "Potluck-Webhooks/1",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(secret, message_id, now, body),
        }
        # Resolved once, and connected to just that address: a second look-up could tell another one. The name is
        # what the certificate must be made out to.
        request = self._client.build_request(
            "POST", url.copy_with(host=address), content=body, headers=headers, extensions={"sni_hostname": url.host}
        )
        answer = await self._client.send(request, stream=True)
        try:
            return Outcome(answer.status_code, "" if answer.is_success else await _words(answer))
        finally:
            await answer.aclose()

    def _chosen(self, addresses: list[str]) -> str:
        """The first; one address that is not public spoils them all."""
        if not addresses:
            raise Refused("the host has no address")
        for one in addresses:
            if not self._anywhere and not is_public_address(ip_address(one)):
                raise Refused("the host leads to an address that is not on the public internet")
        return addresses[0]


async def _words(answer: httpx.Response) -> str:
    """The first words of an answer that is no success, as they came: what is packed may unfold to any size."""
    said = b""
    async for chunk in answer.aiter_raw(ANSWER_BYTES):
        said += chunk
        if len(said) >= ANSWER_BYTES:
            break
    # Of any bytes: what cannot be printed cannot be shown, and a NUL not be kept.
    shown = (one if one.isprintable() else " " for one in said[:ANSWER_BYTES].decode(errors="replace"))
    text = " ".join("".join(shown).split())
    where = " (redirects are not followed)" if answer.is_redirect else ""
    return f"{answer.status_code} {answer.reason_phrase}{where}: {text}".rstrip(": ")[:PROBLEM_LENGTH]


class Sender:
    """Any number of replicas may run: a delivery is claimed before it is sent."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings, post: Post) -> None:
        self._database = database
        self._tables = store.webhooks
        self._letters = store.letters
        self._settings = settings
        self._post = post
        self._under_way: set[asyncio.Task[None]] = set()
        self._tidied = 0.0

    async def run(self) -> None:
        """Until cancelled. Whatever fails waits for the next time."""
        try:
            while True:
                try:
                    async with self._database.listening(CHANNEL) as connection:
                        await self._serve(connection)
                except (psycopg.Error, OSError) as error:
                    log.warning("webhooks-wait", error=repr(error))
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._post.close()

    async def _serve(self, connection: Connection) -> None:
        while True:
            await self._begin()
            if time.monotonic() - self._tidied > TIDY_SECONDS:
                self._tidied = time.monotonic()
                await self.tidy()
            async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass

    async def _begin(self) -> None:
        """Start sending what is due, as far as there is room."""
        while (room := IN_FLIGHT - len(self._under_way)) > 0:
            seconds = self._settings.webhook_seconds + CLAIM_SPARE_SECONDS
            async with self._database.transaction() as connection:
                rows = await self._tables.claim(connection, room, seconds)
            for row in rows:
                task = asyncio.create_task(self._deliver(row))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            if not rows:
                return

    async def _deliver(self, row: Row) -> None:
        begun = time.monotonic()
        outcome = await self._post.send(row["url"], row["secret"], str(row["event_id"]), row["body"].encode())
        # The claim ends by itself when the database is away: then the delivery is sent again.
        with suppress(psycopg.Error):
            await self._keep(row, outcome, time.monotonic() - begun)

    async def _keep(self, row: Row, outcome: Outcome, seconds: float) -> None:
        delivery = row["delivery_id"]
        async with self._database.transaction() as connection:
            if outcome.taken and outcome.status is not None:
                await self._tables.delivered(connection, delivery, outcome.status, seconds)
            else:
                delay = delay_after(row["attempts"] + 1)
                await self._tables.not_delivered(connection, delivery, outcome.status, outcome.problem, seconds, delay)
                if outcome.status == GONE:
                    await self._disable_gone(connection, row["webhook_id"])
            # Whoever has more for this webhook goes on at once.
            await self._tables.notify(connection)
        log.info("webhook-sent", delivery=delivery, taken=outcome.taken, status=outcome.status)

    async def _disable_gone(self, connection: Connection, webhook_id: UUID) -> None:
        row = await self._tables.disable(connection, webhook_id, "gone")
        if row is not None:
            await self._tell(connection, row)

    async def tidy(self) -> None:
        """Disable what has failed for too long, with a notice; forget old deliveries."""
        async with self._database.transaction() as connection:
            for row in await self._tables.disable_failing(connection, self._settings.webhook_give_up_hours * 3600):
                log.warning("webhook-disabled", webhook=str(row["webhook_id"]))  # addresses may hold secrets
                await self._tell(connection, row)
            await self._tables.sweep(connection, KEPT_DAYS)

    async def _tell(self, connection: Connection, row: Row) -> None:
        if self._settings.sends_mail:
            link = f"{self._settings.site_url}/account/webhooks"
            told = letter(row["language"], Letter.WEBHOOK, url=row["url"], link=link)
            await self._letters.add(connection, row["email"], told.subject, told.body)
