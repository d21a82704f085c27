"""Queries of strangers: the registry's public listener with 10,000 versions against a bare grpc.aio server.

Server and client are processes of their own, the same for both; they take turns, so that what else the machine does
hits both. The registry runs whole (`python -m registry`), with tokens, limits and its look at the database.

Two questions. How many calls a second does it answer, when 64 wait at any time? There latency only says how long the
line is: 64 divided by the calls a second. And how long does a call take at a rate that the machine carries (`RATE`
calls a second that come when they come)? There p99 is told, of every version by turns, and of versions that nobody has
asked for since the catalogue changed, which are read from the database.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
import psycopg
import pytest
from contracts.registry.v1 import registry_pb2 as registry
from contracts.registry.v1.registry_pb2_grpc import RegistryServiceStub
from ports import free_port
from registry_bench import SIGNING_KEY, TOKEN, opened
from registry_examples import policy

VERSIONS = 10_000
CONCURRENCY = 64
RATE = 200
SECONDS = 4.0
TURNS = 5
Told = dict[str, float]
PROGRAM = str(Path(__file__).resolve().parents[1] / "support" / "bare_registry.py")

# Withdrawn data, a new title: what every kept answer might tell has changed.
REVISE = "update datasets set title = title || '.' where arrival = (select min(arrival) from datasets)"
GROW = """
with branches as (select round_id from models where version = '1.1'),
rounds_made as (
    insert into rounds (round_id, state, parent_version, preset, total_steps, seed, ended_at, model_version)
    select gen_random_uuid(), 'published', '1.' || number - 1, 'laptop', 100, 1, now(), '1.' || number
    from generate_series(2, %(last)s) as number
    returning round_id, model_version
),
of_branches as (
    insert into round_branches (round_id, position, name, dataset_id, dataset_version, is_new, weight,
                                energy_rmse_mev_per_atom, force_rmse_mev_per_angstrom)
    select rounds_made.round_id, position, name, dataset_id, dataset_version, is_new, weight,
           energy_rmse_mev_per_atom, force_rmse_mev_per_angstrom
    from rounds_made, round_branches where round_branches.round_id = (select round_id from branches)
)
insert into models (version, major, minor, parent_version, round_id, preset, manifest, files, rules, checks,
                    standard_score, contributors, published_at, deepmd_version)
select model_version, 1, split_part(model_version, '.', 2)::integer,
       '1.' || split_part(model_version, '.', 2)::integer - 1, rounds_made.round_id, preset, manifest, files, rules,
       checks, standard_score, contributors, published_at, deepmd_version
from rounds_made, models where version = '1.1'
"""


@pytest.fixture
def environment(service_env: Callable[[str], dict[str, str]], tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "growth.json"
    file.write_text(json.dumps(policy().model_dump()))
    own = {
        "ADDRESS": f"127.0.0.1:{free_port()}",
        "GROWTH_POLICY": str(file),
        "FLEET_TOKEN": TOKEN.get_secret_value(),
        "QUERY_TOKEN": "of-services-alone",
        "SIGNING_KEY": SIGNING_KEY.get_secret_value(),
        "PUBLIC_ADDRESS": f"127.0.0.1:{free_port()}",
        "PUBLIC_CALLS_PER_SECOND": "1000000",
        "PUBLIC_BURST": "1000000",
    }
    return {**os.environ, **service_env("registry"), **{f"POTLUCK_REGISTRY_{k}": v for k, v in own.items()}}


async def grown(dsn: str, folder: Path) -> None:
    """Two versions by rounds, the others as copies of the second."""
    async with opened(dsn, folder, policy()) as bench:
        await bench.publish("Si", "Water", frames=30)
        await bench.publish("A", "B", frames=30)
        async with bench.database.transaction() as conn:
            await conn.execute(GROW.encode(), {"last": VERSIONS - 1})


@contextmanager
def running(command: list[str], environment: dict[str, str], **how: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, env=environment, text=True, **how) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.terminate()


@dataclass(frozen=True)
class Peer:
    """A server, as the client and the operating system see it."""

    address: str
    pid: int

    def asked(self, requests: Path, load: str = "call", number: int = CONCURRENCY, seconds: float = SECONDS) -> Told:
        """What the client measured, and the CPU time that the server spent on a call."""
        before = sum(psutil.Process(self.pid).cpu_times()[:2])
        command = [sys.executable, PROGRAM, load, self.address, str(requests), str(seconds), str(number)]
        told: Told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return told | {"cpu": (sum(psutil.Process(self.pid).cpu_times()[:2]) - before) / told["calls"]}


def medians(turns: list[Told]) -> Told:
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def report(title: str, rows: dict[str, list[Told]]) -> None:
    print(f"  {title}")
    for name, turns in rows.items():
        told = medians(turns)
        print(
            f"    {name:<34}{told['per_second']:>6.0f} a second, median {1e3 * told['median']:>5.1f} ms, "
            f"p99 {1e3 * told['p99']:>6.1f} ms, {1e6 * told['cpu']:>5.0f} µs of the server's CPU a call"
        )


def compared(ours: Peer, bare: Peer, one: Path, every: Path, database: psycopg.Connection) -> None:
    """Takes turns, and prints."""
    first = ours.asked(every, seconds=0)
    assert first["calls"] == VERSIONS
    full: dict[str, list[Told]] = defaultdict(list)
    rated: dict[str, list[Told]] = defaultdict(list)
    for _ in range(TURNS):
        full["one version"].append(ours.asked(one))
        full["bare server"].append(bare.asked(one))
        full["every version"].append(ours.asked(every))
        rated["every version"].append(ours.asked(every, "offer", RATE))
        rated["bare server"].append(bare.asked(one, "offer", RATE))
    for _ in range(TURNS):
        database.execute(REVISE)
        rated["for the first time since a change"].append(ours.asked(every, "offer", RATE))
    report(f"{CONCURRENCY} calls at any time", full | {"each for the first time": [first]})
    ratios = [a["per_second"] / b["per_second"] for a, b in zip(full["one version"], full["bare server"], strict=True)]
    print(f"    against the bare server: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    cpu = medians(full["one version"])["cpu"] / medians(full["bare server"])["cpu"]
    print(f"    CPU against the bare server: {cpu:.2f} times")
    report(f"{RATE} calls a second, when they come", rated)


@pytest.mark.timeout(1200)
def test_queries_against_a_bare_server(environment: dict[str, str], tmp_path: Path) -> None:
    dsn = environment["POTLUCK_REGISTRY_DATABASE_DSN"]
    asyncio.run(grown(dsn, tmp_path / "blobs"))
    ask = [registry.GetModelRequest(version_or_alias=f"1.{number}") for number in range(VERSIONS)]
    every, one, message = tmp_path / "every", tmp_path / "one", tmp_path / "message"
    every.write_text("\n".join(request.SerializeToString().hex() for request in ask))
    one.write_text(ask[-1].SerializeToString().hex())
    address = environment["POTLUCK_REGISTRY_PUBLIC_ADDRESS"]
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        running([sys.executable, "-m", "registry"], environment, stdout=subprocess.DEVNULL) as process,
        grpc.insecure_channel(address) as channel,
    ):
        assert connection.execute("select count(*) from models").fetchone() == (VERSIONS,)
        connection.execute("analyze")
        answer = RegistryServiceStub(channel).GetModel(ask[-1], wait_for_ready=True, timeout=60)
        assert answer.model.version == f"1.{VERSIONS - 1}"
        message.write_bytes(answer.SerializeToString())
        print(f"\nGetModel, {len(message.read_bytes())} bytes, {VERSIONS} versions:")
        with running([sys.executable, PROGRAM, "serve", str(message)], environment, stdout=subprocess.PIPE) as bare:
            assert bare.stdout is not None
            peer = Peer(f"127.0.0.1:{int(bare.stdout.readline())}", bare.pid)
            ours = Peer(address, process.pid)
            compared(ours, peer, one, every, connection)
