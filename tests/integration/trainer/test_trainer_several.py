"""A real worker that trains with several processes (torchrun, gloo), and one whose rounds are jobs (dpdispatcher)."""

import signal
from pathlib import Path

import psutil
import pytest
from kit.blobs import Blobs
from trainer.hardware import this_machine
from trainer_fleet import FakeFleet, WorkerProcess, candidate, serving, until
from trainer_jobs import engines, finished_and_handed_back, two_branches, without_end


@pytest.fixture
def fleet() -> FakeFleet:
    """It offers a round again after a failure."""
    return FakeFleet(retries=True)


def rank(process: psutil.Process) -> int:
    return int(process.environ()["RANK"])


@pytest.mark.timeout(600)
async def test_two_processes_train_one_model_and_stop_together(
    tmp_path: Path, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(this_machine().gpus) == 1:  # each wants its own: by gloo, on CPUs
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    blobs = Blobs(f"file://{tmp_path}/blobs")
    round_ = await two_branches(blobs, tmp_path)
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
async def test_a_round_goes_to_a_job_and_its_lines_and_checkpoints_come_back(tmp_path: Path, fleet: FakeFleet) -> None:
    machine = {"batch_type": "Shell", "remote_profile": {"symlink": False}}
    told = {"machine": machine, "resources": {"cpu_per_node": 1}}
    await finished_and_handed_back(tmp_path, fleet, told)
