"""A server for outsiders beside the tests' own nats-server, and subscribers of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import patience
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from onemachine.nats import ADMIN, NatsServer
from onemachine.outside import STREAM, SUBSCRIBER_DOMAIN, Listener, OutsideServer, Subscriber, inbox
from onemachine.process import running
from onemachine.subscribers import Access, Register, asked, in_force, provision
from ports import free_port


def password(user: str) -> str:
    return f"nats-password-of-{user}"


@dataclass(frozen=True)
class Outside:
    """The server, and whom it lets in."""

    server: OutsideServer
    register: Register
    log: Path

    @property
    def access(self) -> Access:
        return Access(self.server.listener, password)

    @contextmanager
    def running(self) -> Iterator[None]:
        with running(self.server.command(), self.server.answers, self.log):
            yield

    async def provision(self) -> None:
        await provision(self.access, self.register.all())

    def add(self, name: str, nkey: str | None = None) -> Subscriber:
        """In force when it returns, as with `make subscribers`."""
        made = self.register.add(name, nkey)
        in_force(self.server, password, self.register.all())
        return made

    def revoke(self, name: str) -> None:
        self.register.revoke(name)
        in_force(self.server, password, self.register.all())


def beside(hub: NatsServer, folder: Path, **listener: Any) -> Outside:
    """Not started yet."""
    assert hub.leaf_port is not None
    server = OutsideServer(
        folder, password, Listener(port=free_port(), **listener), monitor_port=free_port(), hub_port=hub.leaf_port
    )
    register = Register(folder)
    server.prepare(register.all())
    return Outside(server, register, folder.parent / f"{folder.name}.log")


async def copied(outside: Outside, count: int) -> None:
    """Until the stream of public events has so many: the server copies them from the hub, beginning when it likes."""
    async with asyncio.timeout(patience.SECONDS), outside.access.connected(ADMIN) as admin:
        while (await asked(admin, f"$JS.API.STREAM.INFO.{STREAM}"))["state"]["messages"] < count:
            await asyncio.sleep(0.05)


async def so_many(complaints: list[str], count: int) -> None:
    """Wait for them: the client may send its PING before what waits to be published, so a flush is not enough."""
    async with asyncio.timeout(60):
        while len(complaints) < count:
            await asyncio.sleep(0.01)
    assert len(complaints) == count


@asynccontextmanager
async def connected(url: str, who: Subscriber, **options: Any) -> AsyncIterator[tuple[Client, list[str]]]:
    """A connection of a subscriber, and what the server complains of."""
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error).lower())

    client = await nats.connect(
        url,
        **{"user": who.name, "password": who.password, "inbox_prefix": inbox(who.name), "error_cb": complain} | options,
    )
    try:
        yield client, complaints
    finally:
        await client.close()


async def own_consumer(client: Client, name: str) -> JetStreamContext.PullSubscription:
    return await client.jetstream(domain=SUBSCRIBER_DOMAIN).pull_subscribe_bind(
        name, STREAM, inbox_prefix=f"{inbox(name)}.".encode()
    )


async def fetched(subscription: JetStreamContext.PullSubscription, count: int, seconds: float = 60) -> list[Msg]:
    """So many messages, acknowledged."""
    found: list[Msg] = []
    while len(found) < count:
        came = await subscription.fetch(min(count - len(found), 100), timeout=seconds)
        assert came, "the server sent nothing and said nothing"
        for message in came:
            await message.ack_sync()
            found.append(message)
    return found
