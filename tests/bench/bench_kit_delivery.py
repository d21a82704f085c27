"""How long a fact takes from its commit to its handler, against bare nats-py on the same server in the same run.

The peer publishes to the same durable stream and pulls with the same client library, without a database, an outbox,
CloudEvents or traces: the ratio is what exactly-once effects cost.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import nats
import pytest
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.envelope import Event
from contracts.events import DatasetUploaded
from contracts.topology import EVENT_STREAM
from kit.bus import Delivery
from kit.inbox import first_time
from kit.outbox import emit
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from onemachine.nats import ADMIN

ROUNDS = 300
WARM_UP = 30
Environment = Callable[[str], dict[str, str]]


class IngestLike(ServiceSettings):
    model_config = service_config("ingest")


class GatewayLike(ServiceSettings):
    model_config = service_config("gateway")


def uploaded() -> DatasetUploaded:
    return DatasetUploaded(
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        owner_id=uuid4(),
        credit=Credit(title="Silicon", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
        archive=BlobRef(key="uploads/x/archive", sha256="a" * 64, size=3),
        filename="si.tar.xz",
        format="detect",
    )


async def ours() -> list[float]:
    """Seconds from the commit of an outbox row to the end of the consumer's own transaction."""
    done = asyncio.Event()

    async def handler(_event: Event, delivery: Delivery) -> None:
        async with ingest.database.transaction() as connection:
            await first_time(connection, delivery.durable, delivery.attributes.id)
        done.set()

    @asynccontextmanager
    async def consuming(_settings: ServiceSettings, base: Foundation[ServiceSettings]) -> AsyncIterator[None]:
        base.bus.consume("ingest-dataset-uploaded", handler)
        yield

    @asynccontextmanager
    async def nothing(_settings: ServiceSettings, _base: Foundation[ServiceSettings]) -> AsyncIterator[None]:
        yield

    sender: ServiceSettings = GatewayLike()
    receiver: ServiceSettings = IngestLike()
    seconds = []
    async with running("gateway", sender, nothing) as gateway, running("ingest", receiver, consuming) as ingest:
        for _ in range(ROUNDS + WARM_UP):
            done.clear()
            async with gateway.database.transaction() as connection:
                await emit(connection, uploaded())
            started = time.perf_counter()
            await done.wait()
            seconds.append(time.perf_counter() - started)
    return seconds[WARM_UP:]


async def peer(url: str, password: str) -> list[float]:
    """Seconds from publish to a pulled message, with nats-py alone."""
    client = await nats.connect(url, user=ADMIN, password=password)
    stream = client.jetstream()
    subscription = await stream.pull_subscribe("potluck.training.queued", durable="bench", stream=EVENT_STREAM)
    body = uploaded().body()
    seconds = []
    for _ in range(ROUNDS + WARM_UP):
        waiting = asyncio.create_task(subscription.fetch(1, timeout=10))
        await asyncio.sleep(0)
        started = time.perf_counter()
        await stream.publish("potluck.training.queued", body, stream=EVENT_STREAM)
        [message] = await waiting
        await message.ack()
        seconds.append(time.perf_counter() - started)
    await client.close()
    return seconds[WARM_UP:]


def test_commit_to_handler(service_env: Environment, nats_server: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ingest", "gateway"):
        for key, value in service_env(name).items():
            monkeypatch.setenv(key, value)
    url = service_env("gateway")["POTLUCK_GATEWAY_NATS_URL"]
    bare = asyncio.run(peer(url, f"nats-password-of-{ADMIN}"))
    kit = asyncio.run(ours())
    for name, values in (("bare nats-py", bare), ("kit, exactly once", kit)):
        ordered = sorted(values)
        print(
            f"\n{name:>18}: median {statistics.median(ordered) * 1e3:6.2f} ms, p99 {ordered[-3] * 1e3:6.2f} ms", end=""
        )
    print(f"\n             ratio: {statistics.median(kit) / statistics.median(bare):.2f}")
    assert len(kit) == len(bare) == ROUNDS
