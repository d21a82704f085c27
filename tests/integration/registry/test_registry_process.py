"""`python -m registry` as a process: SIGKILL costs no worker its round, SIGTERM ends it in good order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import patience
import pytest
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1.fleet_pb2_grpc import FleetServiceStub
from kit.rpc import channel
from ports import free_port
from pydantic import SecretStr
from registry_bench import SIGNING_KEY, TOKEN, opened
from registry_examples import policy

Environment = dict[str, str]


@pytest.fixture
def environment(service_env: Callable[[str], Environment], tmp_path: Path) -> Environment:
    file = tmp_path / "growth.json"
    file.write_text(json.dumps(policy().model_dump()))
    own = {
        "POTLUCK_REGISTRY_ADDRESS": f"127.0.0.1:{free_port()}",
        "POTLUCK_REGISTRY_GROWTH_POLICY": str(file),
        "POTLUCK_REGISTRY_FLEET_TOKEN": TOKEN.get_secret_value(),
        "POTLUCK_REGISTRY_OPEN_QUERIES": "true",
        "POTLUCK_REGISTRY_SIGNING_KEY": SIGNING_KEY.get_secret_value(),
    }
    return {**os.environ, **service_env("registry"), **own}


@asynccontextmanager
async def registry_process(environment: Environment) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "registry", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def lease_when_up(stub: FleetServiceStub) -> fleet.Lease:
    request = fleet.LeaseRequest(worker=fleet.Worker(worker_id="one"))
    answer: fleet.LeaseResponse = await stub.Lease(request, wait_for_ready=True, timeout=patience.SECONDS)  # type: ignore[misc]
    assert answer.HasField("lease")
    return answer.lease


async def test_a_lease_outlives_the_registry(environment: Environment, tmp_path: Path) -> None:
    dsn = SecretStr(environment["POTLUCK_REGISTRY_DATABASE_DSN"])
    async with opened(dsn.get_secret_value(), tmp_path / "blobs", policy()) as bench:
        await bench.planned("Si", "Water")
    async with channel(environment["POTLUCK_REGISTRY_ADDRESS"], TOKEN) as connection:
        stub = FleetServiceStub(connection)
        async with registry_process(environment) as first:
            lease = await lease_when_up(stub)
            first.send_signal(signal.SIGKILL)
            assert await first.wait() == -signal.SIGKILL
        beat = fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence)
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await stub.Heartbeat(beat, timeout=30)
        assert away.value.code() is grpc.StatusCode.UNAVAILABLE
        async with registry_process(environment) as second:
            answer = await stub.Heartbeat(beat, wait_for_ready=True, timeout=patience.SECONDS)
            assert answer.ttl.seconds == 30
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), patience.SECONDS) == 0
