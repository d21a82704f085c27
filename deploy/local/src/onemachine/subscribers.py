"""Outsiders' credentials: issued, listed and revoked by an operator; in force at once where the server runs."""

import asyncio
import fcntl
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from ssl import VERIFY_X509_PARTIAL_CHAIN, SSLContext, create_default_context
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from onemachine.errors import CannotStart
from onemachine.nats import ADMIN
from onemachine.outside import (
    NAME,
    STREAM,
    SYSTEM,
    Listener,
    OutsideServer,
    Subscriber,
    consumer_request,
    is_public_nkey,
    stream_request,
)


class Wrong(ValueError):
    """What an operator asked for cannot be; the sentence says why."""


class Register:
    """The subscribers of one installation: a JSON file that only its owner reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "subscribers.json"

    def all(self) -> tuple[Subscriber, ...]:
        try:
            return tuple(Subscriber(**one) for one in json.loads(self._file.read_text()))
        except FileNotFoundError:
            return ()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One operator at a time."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "subscribers.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def add(self, name: str, nkey: str | None = None) -> Subscriber:
        """Raises Wrong for a name that is taken or cannot be one, and for a key that is none."""
        if not NAME.match(name):
            raise Wrong(f"{name!r} is no name for a subscriber: 3 to 32 small letters, digits and '-', a letter first")
        if name in (ADMIN, SYSTEM):
            raise Wrong(f"{name!r} is a name of the platform's own")
        if nkey is not None and not is_public_nkey(nkey):
            raise Wrong(f"{nkey!r} is no public NKey of a user: it has 56 letters and begins with U (nk -gen user)")
        known = self.all()
        if name in {one.name for one in known}:
            raise Wrong(f"there is a subscriber {name!r} already: revoke it first, or choose another name")
        if nkey is not None and nkey in {one.nkey for one in known}:
            raise Wrong("another subscriber has this NKey")
        password = None if nkey else secrets.token_urlsafe(32)
        made = Subscriber(name, datetime.now(UTC).isoformat(timespec="seconds"), password, nkey)
        self._write((*known, made))
        return made

    def revoke(self, name: str) -> None:
        known = self.all()
        if name not in {one.name for one in known}:
            raise Wrong(f"there is no subscriber {name!r}; there are: {', '.join(one.name for one in known) or 'none'}")
        self._write(one for one in known if one.name != name)

    def _write(self, subscribers: Iterable[Subscriber]) -> None:
        draft = self._file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps([asdict(one) for one in subscribers], indent=2) + "\n")
        draft.rename(self._file)


@dataclass(frozen=True, slots=True)
class Access:
    """How we reach the server for outsiders ourselves: on this machine."""

    listener: Listener
    password: Callable[[str], str]

    @asynccontextmanager
    async def connected(self, user: str) -> AsyncIterator[Client]:
        host = "127.0.0.1" if self.listener.host in ("0.0.0.0", "::") else self.listener.host  # noqa: S104 (compared)
        options: dict[str, Any] = {}
        if self.listener.certificate is not None:
            # Its own file on its own machine: the name in it may be any.
            options["tls"] = _trusting(self.listener.certificate)
        client = await nats.connect(
            f"nats://{f'[{host}]' if ':' in host else host}:{self.listener.port}",
            user=user,
            password=self.password(f"outside-{user}"),
            connect_timeout=5,
            allow_reconnect=False,
            **options,
        )
        try:
            yield client
        finally:
            await client.close()


def _trusting(certificate: Path) -> SSLContext:
    """TLS that takes this certificate, whatever host name it is made out to."""
    context = create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= VERIFY_X509_PARTIAL_CHAIN
    return context


async def asked(client: Client, subject: str, body: bytes = b"") -> dict[str, Any]:
    """The answer of a server's API. Raises CannotStart with its words when it refuses."""
    answer: dict[str, Any] = json.loads((await client.request(subject, body, timeout=10)).data)
    if "error" in answer:
        raise CannotStart(f"the server for outsiders refuses {subject}: {answer['error'].get('description')}")
    return answer


async def provision(access: Access, subscribers: Iterable[Subscriber]) -> None:
    """The stream, and a durable consumer for each subscriber and for nobody else. May be repeated at will."""
    wanted = {one.name for one in subscribers}
    async with access.connected(ADMIN) as client:
        names = (await asked(client, "$JS.API.STREAM.NAMES")).get("streams") or []
        verb = "UPDATE" if STREAM in names else "CREATE"
        await asked(client, f"$JS.API.STREAM.{verb}.{STREAM}", stream_request())
        there: set[str] = set()
        while True:
            page = await asked(client, f"$JS.API.CONSUMER.NAMES.{STREAM}", json.dumps({"offset": len(there)}).encode())
            there |= set(page["consumers"] or ())
            if len(there) >= page["total"]:
                break
        for name in sorted(wanted):
            await asked(client, f"$JS.API.CONSUMER.CREATE.{STREAM}.{name}", consumer_request(name))
        for name in sorted(there - wanted):
            await asked(client, f"$JS.API.CONSUMER.DELETE.{STREAM}.{name}")


async def reload(server: OutsideServer, access: Access) -> None:
    """The server reads its configuration anew; who is not in it any more is cut off."""
    async with access.connected(SYSTEM) as client:
        await asked(client, f"$SYS.REQ.SERVER.{server.identity()}.RELOAD")


def remember(folder: Path, server: OutsideServer) -> None:
    """Where the server runs, for commands that are given later from another environment."""
    told = asdict(server.listener) | {"monitor_port": server.monitor_port, "hub_port": server.hub_port}
    (folder / "server.json").write_text(json.dumps(told, default=str) + "\n")


def remembered(folder: Path, password: Callable[[str], str]) -> OutsideServer | None:
    """The server that was started from this folder; None before the first start."""
    try:
        told = json.loads((folder / "server.json").read_text())
    except FileNotFoundError:
        return None
    monitor_port, hub_port = told.pop("monitor_port"), told.pop("hub_port")
    files = {name: Path(told[name]) if told[name] else None for name in ("certificate", "key")}
    return OutsideServer(folder, password, Listener(**told | files), monitor_port, hub_port)


def in_force(server: OutsideServer, password: Callable[[str], str], subscribers: tuple[Subscriber, ...]) -> None:
    """Write and load what the register says now. Raises CannotStart; then the next start does it."""
    access = Access(server.listener, password)
    server.prepare(subscribers)

    async def apply() -> None:
        await reload(server, access)
        await provision(access, subscribers)

    try:
        asyncio.run(apply())
    except (NatsError, OSError, TimeoutError) as error:
        raise CannotStart(
            f"the server for outsiders at {access.listener.url} does not answer ({error!r}); what you asked for is"
            " written down and comes into force when it starts"
        ) from error
