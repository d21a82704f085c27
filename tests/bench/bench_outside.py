"""How long a publication takes from the registry's commit to an outside subscriber, and to a webhook, in one run."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from contracts.events import ModelAliased
from gateway_bench import serving_site
from kit.outbox import emit
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from onemachine.nats import NatsServer
from outsiders import beside, connected, own_consumer
from ports import free_port

ROUNDS = 200
WARM_UP = 20
MEDIAN_SECONDS = 0.050
Environment = Callable[[str], dict[str, str]]


class RegistryLike(ServiceSettings):
    model_config = service_config("registry")


@asynccontextmanager
async def _says_only(_settings: RegistryLike, _base: Foundation[RegistryLike]) -> AsyncIterator[None]:
    yield


def told(name: str, seconds: list[float]) -> None:
    kept = sorted(seconds[WARM_UP:])
    print(f"\n{name}: p50 {statistics.median(kept) * 1e3:.1f} ms, p95 {kept[int(len(kept) * 0.95)] * 1e3:.1f} ms")


async def commit(base: Foundation[RegistryLike], number: int) -> float:
    """When the registry has committed the fact."""
    async with base.database.transaction() as connection:
        await emit(connection, ModelAliased(alias="latest", version=f"1.{number}"))
    return time.perf_counter()


async def test_commit_to_subscriber(
    service_env: Environment, fresh_streams: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in service_env("registry").items():
        monkeypatch.setenv(name, value)
    outside = beside(fresh_streams, tmp_path / "outside")
    seconds: list[float] = []
    with outside.running():
        await outside.provision()
        alice = await asyncio.to_thread(outside.add, "alice")
        async with (
            running("registry", RegistryLike(), _says_only) as base,
            connected(outside.server.listener.url, alice) as (client, _),
        ):
            consumer = await own_consumer(client, "alice")
            for number in range(ROUNDS + WARM_UP):
                fetching = asyncio.create_task(consumer.fetch(1, timeout=20))
                await asyncio.sleep(0.005)  # it waits, as a subscriber does
                committed = await commit(base, number)
                (message,) = await fetching
                seconds.append(time.perf_counter() - committed)
                assert json.loads(message.data)["version"] == f"1.{number}"
                await message.ack()
    told("registry's commit → outside subscriber", seconds)
    assert statistics.median(seconds[WARM_UP:]) < MEDIAN_SECONDS


async def test_commit_to_webhook(service_env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For information: nothing was promised of it."""
    environment = service_env("registry") | service_env("gateway")
    environment |= {
        "POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
        "POTLUCK_GATEWAY_WEBHOOKS_ANYWHERE": "true",
    }
    arrived: asyncio.Queue[float] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.put_nowait(time.perf_counter())
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    seconds: list[float] = []
    receiver = await asyncio.start_server(take, "127.0.0.1", 0)
    async with (
        receiver,
        serving_site(environment, monkeypatch) as site,
        running("registry", RegistryLike(), _says_only) as base,
    ):
        mei = await site.join("mei")
        url = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/"
        fields = {"url": url, "types": [ModelAliased.ce_type()]}
        assert (await mei.request("POST", "/api/v1/webhooks", json=fields)).status_code == 201
        for number in range(ROUNDS // 2 + WARM_UP):
            committed = await commit(base, number)
            seconds.append(await asyncio.wait_for(arrived.get(), 20) - committed)
    told("registry's commit → webhook", seconds)
