"""The examples print every publish event from the start, and survive a restart of the server."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from contracts.base import DatasetRef
from contracts.envelope import Attributes, Event, to_headers
from contracts.events import DatasetPublished, ModelAliased
from contracts.topology import EVENT_STREAM
from nats.js import JetStreamContext
from onemachine.nats import ADMIN, NatsServer
from onemachine.outside import STREAM
from onemachine.provision import administration
from onemachine.subscribers import asked
from outsiders import Outside, beside, password

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "subscribers"
CUT_SECONDS = 5
PROGRAMS = {
    "python": [sys.executable, str(EXAMPLES / "subscribe.py")],
    "javascript": ["node", str(EXAMPLES / "subscribe.mjs")],
}


async def say(inside: JetStreamContext, events: Iterable[Event]) -> None:
    for event in events:
        attributes = Attributes(
            id=uuid4(), type=event.ce_type(), source="potluck/test", subject=event.about(), time=datetime.now(UTC)
        )
        await inside.publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=to_headers(attributes))


def dataset(title: str) -> DatasetPublished:
    return DatasetPublished(
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        title=title,
        authors=("Mei",),
        licence="CC0-1.0",
        for_training=True,
    )


class Program:
    """A running example, and the lines that it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._came = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._came:
                self.lines.append(line.decode())
                self._came.notify_all()

    async def says(self, *words: str, seconds: float = 180) -> None:
        """Wait until every word was printed; after a restart of the server a program may wait half a minute for it."""
        async with asyncio.timeout(seconds), self._came:
            await self._came.wait_for(lambda: all(any(word in line for line in self.lines) for word in words))


@asynccontextmanager
async def started(language: str, outside: Outside, secret: str, *options: str, **more: str) -> AsyncIterator[Program]:
    environment = os.environ | {
        "POTLUCK_EVENTS": outside.server.listener.url,
        "POTLUCK_USER": "alice",
        "POTLUCK_PASSWORD": secret,
    }
    process = await asyncio.create_subprocess_exec(
        *PROGRAMS[language],
        *options,
        env=environment | more,
        stdout=-1,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,
    )
    program = Program(process)
    try:
        yield program
    finally:
        # `node` may be a script that runs the real one: the whole group ends.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def acknowledged(outside: Outside) -> None:
    """A program prints before it acknowledges: killed in between, it would print once more."""
    async with asyncio.timeout(60), outside.access.connected(ADMIN) as admin:
        while (await asked(admin, f"$JS.API.CONSUMER.INFO.{STREAM}.alice"))["num_ack_pending"]:
            await asyncio.sleep(0.05)


@pytest.fixture
async def inside(fresh_streams: NatsServer) -> AsyncIterator[JetStreamContext]:
    async with administration(fresh_streams.url, ADMIN, password(ADMIN)) as jetstream:
        yield jetstream


@pytest.mark.parametrize("language", PROGRAMS)
async def test_an_example_replays_goes_on_and_survives_a_restart(
    language: str, fresh_streams: NatsServer, inside: JetStreamContext, tmp_path: Path
) -> None:
    outside = beside(fresh_streams, tmp_path / "outside")
    await say(inside, [dataset("silicon"), ModelAliased(alias="latest", version="1.0")])
    with ExitStack() as server:
        server.enter_context(outside.running())
        await outside.provision()
        secret = str((await asyncio.to_thread(outside.add, "alice")).password)
        async with started(language, outside, secret) as program:
            await program.says("silicon", "potluck.model.aliased.v1")
            await say(inside, [dataset("water")])
            await program.says("water")
            assert len(program.lines) == 3
            await acknowledged(outside)
            server.close()
            await say(inside, [dataset("quartz")])
            server.enter_context(outside.running())
            await program.says("quartz")
            assert len(program.lines) == 4  # what was acknowledged did not come again
            await acknowledged(outside)
        async with started(language, outside, secret) as second:
            await say(inside, [dataset("salt")])
            await second.says("salt")
            assert len(second.lines) == 1
            await acknowledged(outside)
        async with started(language, outside, secret, "--again") as again:
            await again.says("silicon", "water", "quartz", "salt")
            assert len(again.lines) == 5


async def test_an_nkey_lets_in_until_it_is_revoked_and_another_does_not(
    fresh_streams: NatsServer, inside: JetStreamContext, tmp_path: Path
) -> None:
    """Made by the subscriber with the ecosystem's own tools; its seed never leaves it."""
    (seed, public), (other, _) = await new_nkey(), await new_nkey()
    outside = beside(fresh_streams, tmp_path / "outside")
    await say(inside, [dataset("silicon")])
    with outside.running():
        await outside.provision()
        await asyncio.to_thread(outside.add, "alice", public)
        async with started("javascript", outside, "", POTLUCK_SEED=other) as refused:
            async with asyncio.timeout(60):
                assert await refused.process.wait() != 0
            assert refused.lines == []
        async with started("javascript", outside, "", POTLUCK_SEED=seed) as program:
            await program.says("silicon")
            assert public in await let_in(outside)
            await asyncio.to_thread(outside.revoke, "alice")
            async with asyncio.timeout(CUT_SECONDS):
                while public in await let_in(outside):
                    await asyncio.sleep(0.05)
            await say(inside, [dataset("water")])
            await asyncio.sleep(1)
            assert len(program.lines) == 1


async def let_in(outside: Outside) -> list[str]:
    """Who is connected, as the server's monitor says: names and NKeys."""
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(f"http://127.0.0.1:{outside.server.monitor_port}/connz?auth=1")
    return [one["authorized_user"] for one in answer.json()["connections"] if "authorized_user" in one]


async def new_nkey() -> tuple[str, str]:
    """Seed and public key."""
    code = """
        import { createUser } from "@nats-io/nkeys";
        const pair = createUser();
        console.log(new TextDecoder().decode(pair.getSeed()), pair.getPublicKey());
    """
    process = await asyncio.create_subprocess_exec("node", "--input-type=module", "-e", code, stdout=-1, cwd=ROOT)
    said, _ = await process.communicate()
    seed, public = said.decode().split()
    return seed, public
