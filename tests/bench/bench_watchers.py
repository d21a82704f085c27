"""2,000 watchers of one dataset on one gateway process: when the last of them has heard, and the process's memory.

From the publication on the bus, as the trainer's reports come, to the arrival at each of the watchers, which are
sockets of another process on the same cores. The clock is the system's monotonic one, which both read.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest
from bench_service import memory, service_process
from bench_site import publish_dataset
from contracts.base import DatasetRef
from gateway_bench import Outside
from gateway_examples import progress, queued, started
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from ports import free_port

WATCHERS = 2000
EVENTS = 20
PAUSE_SECONDS = 2.0  # as often as a trainer reports
SUPPORT = Path(__file__).parents[1] / "support"
MIB = 1 << 20


@pytest.fixture
def site(service_env: Callable[[str], dict[str, str]], tmp_path: Path) -> dict[str, str]:
    return service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
        "POTLUCK_GATEWAY_MAX_WATCHERS": str(WATCHERS),
    }


@contextmanager
def crowd(address: str, path: str) -> Iterator[subprocess.Popen[str]]:
    """All are watching when the block begins."""
    host, port = address.split(":")
    command = [sys.executable, str(SUPPORT / "watch_dataset.py"), host, port, path, str(WATCHERS), str(EVENTS)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "watching\n"
        yield child
    finally:
        child.kill()
        child.wait()


async def say(nats: NatsServer, round_id: UUID, dataset: DatasetRef, begun: list[float]) -> None:
    """Training, and the times at which its reports were published."""
    async with administration(nats.url, ADMIN, f"nats-password-of-{ADMIN}") as jetstream:
        outside = Outside(jetstream)
        await outside.say(queued(round_id, dataset))
        await outside.say(started(round_id))
        await asyncio.sleep(PAUSE_SECONDS)
        for step in range(1, EVENTS + 1):
            begun.append(time.monotonic())
            await outside.say(progress(round_id, step, 1000 / step))
            await asyncio.sleep(PAUSE_SECONDS)


def test_many_watch_one_dataset(site: dict[str, str], fresh_streams: NatsServer, tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))  # the gateway inherits it
    address = site["POTLUCK_GATEWAY_ADDRESS"]
    with service_process("gateway", site, tmp_path / "gateway.log") as gateway:
        dataset_id, _ = publish_dataset(f"http://{address}")
        alone = memory(gateway.pid)
        with crowd(address, f"/api/v1/datasets/{dataset_id}/events") as watchers:
            watched, begun = memory(gateway.pid), list[float]()
            busy = sum(psutil.Process(gateway.pid).cpu_times()[:2])
            asyncio.run(say(fresh_streams, uuid4(), DatasetRef(dataset_id=dataset_id, version=1), begun))
            told, _ = watchers.communicate(timeout=120)
            busy = sum(psutil.Process(gateway.pid).cpu_times()[:2]) - busy
            most_memory = memory(gateway.pid)
    heard = {int(step): times for step, times in json.loads(told).items()}
    assert sorted(heard) == list(range(1, EVENTS + 1))
    assert all(count == WATCHERS for count, _, _ in heard.values())
    firsts = [1000 * (heard[step][1] - begun[step - 1]) for step in heard]
    lasts = [1000 * (heard[step][2] - begun[step - 1]) for step in heard]
    print(f"\n{WATCHERS} watchers, {EVENTS} events: the first hears after {statistics.median(firsts):.0f} ms,")
    print(
        f"the last after {statistics.median(lasts):.0f} ms at the median and {max(lasts):.0f} ms at most (1,000 asked)"
    )
    sizes = f"{alone / MIB:.0f} alone, {watched / MIB:.0f} with all watchers, {most_memory / MIB:.0f} at the end"
    each = f"{1e6 * busy / EVENTS / WATCHERS:.0f} µs of processor time an event and watcher"
    print(f"gateway, MiB (300 asked): {sizes}; {each}")
