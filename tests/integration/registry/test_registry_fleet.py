"""Workers announce themselves, and a round goes only to one that can run it; on the real PostgreSQL and gRPC."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import patience
import pytest
import pytest_asyncio
from contracts.events import TrainingHeldUp
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.operator.v1 import operator_pb2 as operator
from registry.domain.policy import GrowthPolicy
from registry.fleet.rpc import RETRY_AFTER_SECONDS
from registry.operators.words import worker_lines
from registry.rounds.presets import Presets
from registry.settings import RegistrySettings
from registry_bench import Bench, FreshDatabase, better, opened, refused
from registry_examples import policy

SMALL_NEEDS = {"gpus": 1, "gpu_memory_gb": 16}


@pytest_asyncio.fixture
async def bench(fresh_database: FreshDatabase, blobs_folder: Path, tmp_path: Path) -> AsyncIterator[Bench]:
    """The policy's preset needs a GPU of 16 GB."""
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "laptop.json").write_text(json.dumps({"name": "laptop", "needs": SMALL_NEEDS}))
    async with opened(fresh_database.dsn("registry"), blobs_folder, policy(), Presets(presets)) as one:
        yield one


def worker(name: str = "gpu-1", gb: int = 16, **other: object) -> fleet.Worker:
    gpus = [fleet.Gpu(name="Tesla T4", memory_bytes=gb * 10**9)] if gb else []
    fields: dict[str, object] = {
        "worker_id": name,
        "hostname": "node-7",
        "gpu_devices": gpus,
        "cpu_cores": 8,
        "cpu_name": "AMD EPYC",
        "memory_bytes": 64 * 10**9,
        "presets": ["laptop"],
        "deepmd_version": "3.2.0",
        "torch_version": "2.11.0",
        "launcher": "local",
    }
    return fleet.Worker(**{**fields, **other})  # type: ignore[arg-type]


async def ask(bench: Bench, one: fleet.Worker) -> fleet.LeaseResponse:
    return await bench.fleet.Lease(fleet.LeaseRequest(worker=one))


async def workers(bench: Bench, *, everyone: bool = False) -> list[operator.Worker]:
    return list((await bench.operator.ListWorkers(operator.ListWorkersRequest(all=everyone))).workers)


async def look(bench: Bench) -> None:
    await bench.timer.look(sweep=True)


async def held_up(bench: Bench) -> list[str]:
    return [event.reason for event in await bench.events() if isinstance(event, TrainingHeldUp)]


async def waits_for(bench: Bench) -> str:
    return (await bench.operator.GetLine(operator.GetLineRequest())).waits_for


async def test_a_worker_is_known_by_what_it_announces(bench: Bench) -> None:
    assert not (await ask(bench, worker())).HasField("lease")
    await ask(bench, worker("cpu-1", gb=0))
    known = await workers(bench)
    assert [one.worker_id for one in known] == ["cpu-1", "gpu-1"]
    gpu = known[1]
    assert (gpu.gpus[0].name, gpu.gpus[0].memory_bytes) == ("Tesla T4", 16 * 10**9)
    assert (gpu.cpu_cores, gpu.memory_bytes, gpu.deepmd_version, gpu.live) == (8, 64 * 10**9, "3.2.0", True)
    assert worker_lines(gpu)[1:] == [
        "    Tesla T4 16 GB, 8 CPU cores (AMD EPYC), 64 GB of main memory",
        "    deepmd-kit 3.2.0, torch 2.11.0, launcher local",
        "    presets: laptop",
    ]
    # It comes back with another card: the last word counts.
    await ask(bench, worker(gb=24))
    assert [one.gpus[0].memory_bytes for one in await workers(bench) if one.gpus] == [24 * 10**9]


async def test_a_worker_that_is_silent_is_gone_from_the_list_but_not_forgotten(bench: Bench) -> None:
    await ask(bench, worker())
    await bench.rows("update workers set last_seen = now() - interval '31 s'")
    assert await workers(bench) == []
    (gone,) = await workers(bench, everyone=True)
    assert not gone.live
    assert "  gone, last seen " in worker_lines(gone)[0]


async def test_a_round_goes_only_to_a_machine_that_can_run_it(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    answer = await ask(bench, worker("cpu-1", gb=0))
    assert not answer.HasField("lease")
    assert answer.refusal == (
        "worker cpu-1 cannot run this round: it needs 1 GPU of at least 16 GB and the worker has no GPU"
    )
    assert answer.retry_after.seconds > 0
    assert (await workers(bench))[0].refusal == answer.refusal
    assert answer.refusal in worker_lines((await workers(bench))[0])[-1]
    assert "TrainingStarted" not in await bench.kinds()
    able = await ask(bench, worker())
    assert able.HasField("lease")
    training = next(one for one in await workers(bench) if one.worker_id == "gpu-1")
    assert training.round_id == able.lease.round_id
    assert f"trains round {able.lease.round_id}" in worker_lines(training)[0]


async def test_a_worker_with_another_deepmd_version_does_not_grow_a_model(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    first = (await ask(bench, worker())).lease
    assert (await bench.submit(first, await bench.candidate(first, better(first.spec.branches)))).published
    await bench.planned("Salt")
    other = await ask(bench, worker("older", deepmd_version="3.1.0"))
    assert not other.HasField("lease")
    assert "it needs deepmd-kit 3.2.0 (it trained the parent, model 1.0) and the worker has 3.1.0" in other.refusal
    assert (await ask(bench, worker())).HasField("lease")


async def test_a_round_that_nobody_can_run_says_so_once_and_again_when_the_reason_changes(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    wanted = "Training waits for a machine with a GPU of at least 16 GB and the training recipe 'laptop': "
    for _ in range(2):
        await look(bench)
    assert await held_up(bench) == [f"{wanted}no training machine is connected at the moment."]
    await ask(bench, worker("cpu-1", gb=0))
    for _ in range(2):
        await look(bench)
    assert (await held_up(bench))[1:] == [f"{wanted}the one that is connected does not do."]
    assert await waits_for(bench) == f"{wanted}the one that is connected does not do."
    lease = (await ask(bench, worker())).lease
    assert await waits_for(bench) == ""
    await look(bench)
    assert len(await held_up(bench)) == 2
    # Its worker is lost, and so are all that could take over.
    await bench.rows("update workers set last_seen = now() - interval '1 hour'")
    await bench.expire()
    await look(bench)
    last = next(event for event in reversed(await bench.events()) if isinstance(event, TrainingHeldUp))
    assert last.reason.endswith("no training machine is connected at the moment.")
    assert last.attempt == lease.fence + 1


async def test_a_paused_line_waits_for_the_operator_and_no_machine(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    await bench.operator.Pause(operator.PauseRequest(reason="holiday"))
    await look(bench)
    assert await held_up(bench) == []


async def test_a_worker_that_trains_is_live_as_long_as_it_beats(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = (await ask(bench, worker())).lease
    await bench.rows("update workers set last_seen = now() - interval '1 hour'")
    assert await workers(bench) == []
    await bench.fleet.Heartbeat(fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence))
    assert [one.worker_id for one in await workers(bench)] == ["gpu-1"]


async def test_a_worker_of_an_earlier_release_and_one_that_lies(bench: Bench) -> None:
    await ask(bench, fleet.Worker(worker_id="old", gpus=["Tesla V100"]))
    (old,) = await workers(bench)
    assert (old.gpus[0].name, old.gpus[0].memory_bytes, old.processes) == ("Tesla V100", 0, 1)
    for wrong in (fleet.Worker(worker_id=""), fleet.Worker(worker_id="x", memory_bytes=2**63)):
        code, _ = await refused(ask(bench, wrong))
        assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_lost_lease_is_offered_again_when_it_has_run_out_and_another_worker_resumes(
    fresh_database: FreshDatabase, blobs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ttl = 2.0
    async with opened(fresh_database.dsn("registry"), blobs_folder, policy(lease_ttl_seconds=ttl)) as bench:
        await bench.planned("Si", "Water")
        first = (await ask(bench, worker("first"))).lease
        held_since = time.monotonic()
        stored = await bench.checkpoint(first, 40)
        silent_since = time.monotonic()
        found_lost: list[bool] = []  # by each look of the timer that began after it had run out
        look = bench.timer.look

        async def noted(sweep: bool) -> None:
            has_run_out = time.monotonic() > silent_since + ttl
            await look(sweep)
            (row,) = await bench.rows("select state, fence from rounds")
            if has_run_out:
                found_lost.append((row["state"], row["fence"]) != ("training", first.fence))

        monkeypatch.setattr(bench.timer, "look", noted)
        timer = asyncio.create_task(bench.timer.run(grace_seconds=0))
        try:
            async with asyncio.timeout(patience.SECONDS):
                while not (answer := await ask(bench, worker("second"))).HasField("lease"):
                    await asyncio.sleep(0.1)
        finally:
            timer.cancel()
        # Not before it has run out, and by the first look afterwards.
        assert time.monotonic() - held_since > ttl
        assert found_lost[:1] != [False]
        assert (answer.lease.resume_from.step, answer.lease.resume_from.blob.key) == (40, stored.key)
        assert answer.lease.fence == first.fence + 1


def test_with_the_settings_that_we_ship_that_takes_less_than_30_seconds() -> None:
    shipped = GrowthPolicy.load(Path(__file__).parents[3] / "deploy" / "policy" / "growth.json")
    check_seconds = RegistrySettings.model_fields["check_seconds"].default
    assert shipped.lease_ttl_seconds + check_seconds + RETRY_AFTER_SECONDS < 30
