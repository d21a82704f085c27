"""A real Slurm of one node: a job of two processes is lost, finished in another, handed back."""

import os
import subprocess
from pathlib import Path

import pytest
from one_node_slurm import missing, one_node_slurm
from trainer_fleet import FakeFleet, within
from trainer_jobs import engines, finished_and_handed_back

pytestmark = pytest.mark.slurm


def queue(*columns: str) -> list[str]:
    told = subprocess.run(["squeue", "-h", "-o", *columns], capture_output=True, text=True, check=True)
    return told.stdout.split()


@pytest.mark.timeout(900)
async def test_rounds_run_as_jobs_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = missing()
    assert lacks is None, lacks
    with one_node_slurm(tmp_path / "slurm") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        async def lose(folder: Path) -> None:
            # Not by scancel: after that, as before a time limit, Slurm warns, and the round is handed back unharmed.
            assert len(queue("%i")) == 1
            for engine in engines(folder):
                engine.kill()

        told = {
            "machine": {"batch_type": "Slurm"},
            "resources": {"number_node": 1, "cpu_per_node": min(2, os.cpu_count() or 1), "queue_name": "main"},
            "processes_per_node": 2,
        }
        await finished_and_handed_back(tmp_path, FakeFleet(ttl=10), told, lose)
        await within(60, "an empty queue", lambda: not queue("%i"))
