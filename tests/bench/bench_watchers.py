"""2,000 watchers of one dataset on one gateway process: how long until all of them have an event, in what memory.

From the moment that an event is handed to the bus until the last watcher has it. The watchers are bare sockets in a
process of their own, on the same machine.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from bench_service import service_process
from contracts.base import DatasetRef
from gateway_bench import Outside, eventually, publish_dataset
from gateway_examples import progress, queued, started
from onemachine.nats import ADMIN, NatsServer
from onemachine.process import free_port
from onemachine.provision import administration

WATCHERS = 2000
EVENTS, EVERY_SECONDS = 20, 1.0
FILES = WATCHERS + 300
CLIENT = Path(__file__).parents[1] / "support" / "many_watchers.py"


@pytest.fixture
async def outside(fresh_streams: NatsServer) -> AsyncIterator[Outside]:
    async with administration(fresh_streams.url, ADMIN, f"nats-password-of-{ADMIN}") as jetstream:
        yield Outside(jetstream)


@pytest.fixture
def enough_files() -> None:
    """Both children inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.fail(f"{WATCHERS} live streams need {FILES} open files in a process, {hard} are allowed (`ulimit -Hn`)")
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


def resident_mib(pid: int, what: str) -> float:
    """`what`: VmRSS now, VmHWM at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


async def test_every_event_reaches_two_thousand_watchers(
    service_env: Callable[[str], dict[str, str]], outside: Outside, enough_files: None, tmp_path: Path
) -> None:
    site = service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
    }
    url = f"http://{site['POTLUCK_GATEWAY_ADDRESS']}"
    with service_process("gateway", site, tmp_path / "gateway.log") as gateway:
        page, _ = publish_dataset(url)
        path = f"/api/v1{page}/events"
        dataset = DatasetRef(dataset_id=UUID(page.rsplit("/", 1)[1]), version=1)
        alone = resident_mib(gateway.pid, "VmRSS")
        arguments = [sys.executable, str(CLIENT), "127.0.0.1", str(urlsplit(url).port), path, str(WATCHERS)]
        begin = time.monotonic()
        client = await asyncio.create_subprocess_exec(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert client.stdout is not None
            assert await client.stdout.readline() == b"ready\n"
            opened = time.monotonic() - begin
            said = await tell(outside, url, dataset)
            out, _ = await asyncio.wait_for(client.communicate(b""), 60)
        finally:
            if client.returncode is None:
                client.kill()
        most = resident_mib(gateway.pid, "VmHWM")
    found = json.loads(out)
    # The dataset's log: uploaded, queued, started, then each progress.
    took = []
    for position, at in enumerate(said, 4):
        count, last = found["arrivals"][str(position)]
        assert count == WATCHERS, f"{count} of {WATCHERS} watchers had event {position}"
        took.append(last - at)
    print(
        f"\n{WATCHERS} streams begun within {opened:.1f} s; gateway {alone:.0f} MiB before, {most:.0f} MiB at most",
        end="",
    )
    print(f" (300 asked); until the last of them has an event: median {1000 * statistics.median(took):.0f} ms,", end="")
    print(f" most {1000 * max(took):.0f} ms of {EVENTS} (1,000 ms asked)")


async def tell(outside: Outside, url: str, dataset: DatasetRef) -> list[float]:
    """When each progress was said."""
    round_id = uuid4()

    async def trains() -> bool:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            return bool((await http.get(f"/api/v1/datasets/{dataset.dataset_id}")).json()["state"] == "training")

    await outside.say(queued(round_id, dataset))
    await asyncio.sleep(EVERY_SECONDS)
    await outside.say(started(round_id))
    await eventually(trains, 30)
    said = []
    for number in range(EVENTS):
        await asyncio.sleep(EVERY_SECONDS)
        said.append(time.monotonic())
        await outside.say(progress(round_id, 10 * (number + 1), 400 - number))
    await asyncio.sleep(3 * EVERY_SECONDS)
    return said
