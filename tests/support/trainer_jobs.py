"""Rounds whose training runs as jobs of a cluster, for tests of every batch system."""

import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from contracts.fleet.v1 import fleet_pb2 as pb
from crystals import crystals
from kit.blobs import Blobs
from trainer_fleet import FakeFleet, WorkerProcess, candidate, serving, stored_branch, until

STEPS = 60


async def two_branches(blobs: Blobs, folder: Path) -> pb.RoundSpec:
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


async def finished_and_handed_back(
    tmp_path: Path,
    fleet: FakeFleet,
    told: Mapping[str, Any],
    lose: Callable[[Path], Awaitable[None]] | None = None,
) -> None:
    """A round is trained to its end as a job; a second round is handed back on SIGTERM.

    `told`: the dpdispatcher file, without the folder of the cluster. `lose` ends the job that runs in a folder: the
    first round goes on in another one.
    """
    blobs = Blobs(f"file://{tmp_path}/blobs")
    remote = tmp_path / "cluster"
    remote.mkdir()
    file = tmp_path / "cluster.json"
    machine = {"context_type": "LocalContext", "remote_root": str(remote), **told["machine"]}
    file.write_text(json.dumps({"poll_seconds": 0.5, "python": sys.executable, **told, "machine": machine}))
    round_ = await two_branches(blobs, tmp_path)
    fleet.retries = True
    fleet.offer(round_)
    worker = WorkerProcess(
        tmp_path / "worker", 0, f"file://{tmp_path}/blobs", LAUNCHER="dpdispatcher", DPDISPATCHER_FILE=str(file)
    )
    async with serving(fleet) as port:
        worker.speak_to(port)
        async with worker:
            await until("a checkpoint", lambda: fleet.checkpoints or fleet.failures, seconds=200)
            assert not fleet.failures, fleet.failures
            assert not fleet.submissions, "it came back while the job ran"
            if lose is not None:
                await lose(remote)
                await until("the failure", lambda: fleet.failures)
                assert fleet.failures[0].rule == "job-lost", fleet.failures[0].reason
                assert fleet.failures[0].retryable
            lost = len(fleet.failures)
            await until("the submission", lambda: fleet.submissions or len(fleet.failures) > lost, seconds=200)
            assert len(fleet.failures) == lost, fleet.failures
            assert (fleet.leases[-1].resume_from.step > 0) is (lost == 1)
            assert (await candidate(blobs, fleet.submissions[0])).verification.passed

            reports = len(fleet.reports)
            fleet.offer(without_end(round_))
            await until("progress", lambda: len(fleet.reports) > reports, seconds=200)
            assert await worker.end(signal.SIGTERM) == 0
    assert len(fleet.hand_backs) == 1, (fleet.failures, worker.log_file.read_text()[-3000:])
    stored = fleet.checkpoints[-1].checkpoint
    assert stored.step >= fleet.reports[-1].step
    assert await blobs.size(stored.blob.key) == stored.blob.size
    await until("the engine's end", lambda: not engines(remote), seconds=30)
    # The folder of the lost job is kept for whoever looks for the cause; the others are gone.
    assert len(list(remote.iterdir())) == lost
