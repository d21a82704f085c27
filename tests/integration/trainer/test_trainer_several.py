"""A real worker that trains with several processes (torchrun, gloo), and one whose rounds are jobs (dpdispatcher)."""

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest
from contracts.fleet.v1 import fleet_pb2 as pb
from crystals import crystals
from kit.blobs import Blobs
from trainer_fleet import FakeFleet, WorkerProcess, candidate, serving, stored_branch, until

STEPS = 60


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


@pytest.fixture
def fleet() -> FakeFleet:
    """It offers a round again after a failure."""
    return FakeFleet(retries=True)


async def spec(blobs: Blobs, folder: Path) -> pb.RoundSpec:
    elements = (("silicon", "Si", 1), ("germanium", "Ge", 3))
    branches = [
        await stored_branch(
            blobs, folder, name, crystals(kind, kind, 12, seed), crystals(kind, kind, 5, seed + 1), weight=0.5
        )
        for name, kind, seed in elements
    ]
    return pb.RoundSpec(preset="smoke", total_steps=STEPS, seed=7, branches=branches)


def without_end(round_: pb.RoundSpec) -> pb.RoundSpec:
    longer = pb.RoundSpec()
    longer.CopyFrom(round_)
    longer.total_steps = 100_000
    return longer


def engines(folder: Path) -> list[psutil.Process]:
    """Training programs that work somewhere in `folder`, whoever started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if "trainer.engine" in process.cmdline() and str(folder) in process.cwd():
                found.append(process)
        except psutil.Error:
            continue
    return found


def rank(process: psutil.Process) -> int:
    return int(process.environ()["RANK"])


@pytest.mark.timeout(600)
async def test_two_processes_train_one_model_and_stop_together(tmp_path: Path, blobs: Blobs, fleet: FakeFleet) -> None:
    round_ = await spec(blobs, tmp_path)
    fleet.offer(round_)
    worker = WorkerProcess(
        tmp_path / "worker", 0, f"file://{tmp_path}/blobs", LAUNCHER="torchrun", TORCHRUN_PROCESSES="2"
    )
    async with serving(fleet) as port:
        worker.speak_to(port)
        async with worker:
            await until("a checkpoint", lambda: fleet.checkpoints or fleet.failures, seconds=200)
            assert not fleet.failures, fleet.failures
            ranks = {rank(one): one for one in engines(tmp_path)}
            assert set(ranks) == {0, 1}
            announced = fleet.workers[-1]
            assert (announced.launcher, announced.processes, announced.deepmd_version) == ("torchrun", 2, "3.2.0")
            assert "smoke" in announced.presets
            assert announced.cpu_cores > 0

            ranks[1].kill()
            await until("the failure", lambda: fleet.failures)
            assert fleet.failures[0].retryable
            assert not fleet.submissions
            await until("the submission", lambda: fleet.submissions or len(fleet.failures) > 1, seconds=200)
            assert len(fleet.failures) == 1, fleet.failures
            assert fleet.leases[1].resume_from.step > 0
            trained = await candidate(blobs, fleet.submissions[0])
            assert trained.verification.passed, trained.verification.sentence
            assert all(check.passed for check in trained.checks if check.rule != "conserves-energy")

            told = len(fleet.reports)
            fleet.offer(without_end(round_))
            await until("progress", lambda: len(fleet.reports) > told + 1, seconds=200)
            assert await worker.end(signal.SIGTERM) == 0
    assert len(fleet.hand_backs) == 1, (fleet.failures, worker.log_file.read_text()[-3000:])
    assert fleet.checkpoints[-1].checkpoint.step >= fleet.reports[-1].step
    assert engines(tmp_path) == []


@pytest.mark.timeout(600)
async def test_a_round_goes_to_a_job_and_its_lines_and_checkpoints_come_back(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    remote = tmp_path / "cluster"
    remote.mkdir()
    file = tmp_path / "cluster.json"
    machine = {"batch_type": "Shell", "context_type": "LocalContext", "remote_root": str(remote)}
    machine["remote_profile"] = {"symlink": False}  # type: ignore[assignment]
    told = {"machine": machine, "resources": {"cpu_per_node": 1}, "poll_seconds": 0.5, "python": sys.executable}
    file.write_text(json.dumps(told))
    round_ = await spec(blobs, tmp_path)
    fleet.offer(round_)
    worker = WorkerProcess(
        tmp_path / "worker", 0, f"file://{tmp_path}/blobs", LAUNCHER="dpdispatcher", DPDISPATCHER_FILE=str(file)
    )
    async with serving(fleet) as port:
        worker.speak_to(port)
        async with worker:
            await until("a checkpoint", lambda: fleet.checkpoints or fleet.failures, seconds=200)
            assert not fleet.failures, fleet.failures
            (engine,) = engines(remote)
            engine.kill()
            await until("the failure", lambda: fleet.failures)
            assert fleet.failures[0].rule == "job-lost", fleet.failures[0].reason
            assert fleet.failures[0].retryable
            await until("the submission", lambda: fleet.submissions or len(fleet.failures) > 1, seconds=200)
            assert len(fleet.failures) == 1, fleet.failures
            assert fleet.leases[1].resume_from.step > 0
            assert (await candidate(blobs, fleet.submissions[0])).verification.passed

            reports = len(fleet.reports)
            fleet.offer(without_end(round_))
            await until("progress", lambda: len(fleet.reports) > reports, seconds=200)
            assert await worker.end(signal.SIGTERM) == 0
    assert len(fleet.hand_backs) == 1, (fleet.failures, worker.log_file.read_text()[-3000:])
    stored = fleet.checkpoints[-1].checkpoint
    assert stored.step >= fleet.reports[-1].step
    assert await blobs.size(stored.blob.key) == stored.blob.size
    assert engines(remote) == []
    # The folder of the lost job is kept for whoever looks for the cause; the others are gone.
    assert len(list(remote.iterdir())) == 1
