"""The prediction process: warm, replaced when it dies, ended when it hangs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import failing_gpu
import numpy as np
import psutil
import pytest
import torch
from dpa import predictor
from frames.frame import Frame
from frames.store import write
from machines import alive
from metric.child import Failure, Job, _answer, _Loaded
from metric.prediction import PredictionFailed, PredictionPool, PredictionProcess


@pytest.fixture(scope="module", autouse=True)
def warm_processes() -> None:
    """None: here processes start as the service starts them."""


async def test_it_predicts_and_is_replaced_when_killed_at_work_or_at_rest(
    small_model: Any, molecules: Callable[..., list[Frame]]
) -> None:
    frames = molecules(14, 12, seed=50) + molecules(6, 5, seed=51)
    async with PredictionProcess(threads=1, timeout_seconds=240) as predictions:
        first = await predictions.predict(small_model.release, "silicon", frames)
        assert first.energy.shape == (17,)
        assert [forces.shape for forces in first.forces] == [(4, 3)] * 17
        assert predictions.pid is not None
        os.kill(predictions.pid, signal.SIGKILL)
        second = await predictions.predict(small_model.release, "silicon", frames)
        np.testing.assert_allclose(second.energy, first.energy, rtol=1e-6)
        os.kill(predictions.pid, signal.SIGSTOP)
        asked = asyncio.create_task(predictions.predict(small_model.release, "carbon", frames))
        await asyncio.sleep(0.3)
        os.kill(predictions.pid, signal.SIGKILL)
        third = await asked
        assert np.abs(third.energy - first.energy).max() > 0
        pid = predictions.pid
        with pytest.raises(PredictionFailed, match="has no branch 'gold'; it has silicon, carbon"):
            await predictions.predict(small_model.release, "gold", frames)
        assert predictions.pid == pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


async def test_a_process_whose_gpu_fails_it_is_replaced(
    molecules: Callable[..., list[Frame]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every job after that would fail in it, whatever dataset asks."""
    monkeypatch.setattr("metric.prediction.serve", failing_gpu.serve)
    frames = molecules(14, 3, seed=61)
    async with PredictionProcess(threads=1, timeout_seconds=60) as predictions:
        found = await predictions.predict(tmp_path, "silicon", frames)
        assert found.energy.shape == (3,)
        assert len(list(tmp_path.iterdir())) == 2
        with pytest.raises(PredictionFailed, match=r"branch always: AcceleratorError: CUDA error.*2 times in a row"):
            await predictions.predict(tmp_path, "always", frames)


def test_a_failure_says_whether_the_process_can_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = Job(tmp_path / "none.pt", "silicon", [])
    assert not told(job).lost
    monkeypatch.setattr(predictor, "DEVICE", torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert not told(job).lost
    monkeypatch.setattr(torch.cuda, "synchronize", broken)
    assert told(job).lost


def told(job: Job) -> Failure:
    """By a process that knows no model of that name."""
    answer = _answer(_Loaded(), job)
    assert isinstance(answer, Failure)
    return answer


def broken() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


async def test_a_process_that_hangs_is_ended(molecules: Callable[..., list[Frame]], tmp_path: Path) -> None:
    # It takes longer than that to import deepmd.
    async with PredictionProcess(threads=1, timeout_seconds=0.05) as predictions:
        with pytest.raises(PredictionFailed, match=r"no answer in 0.05 s, 2 times in a row"):
            await predictions.predict(tmp_path / "model.pt", "silicon", molecules(14, 1, seed=60))


async def test_processes_share_the_work_and_change_nothing_in_the_numbers(
    small_model: Any, molecules: Callable[..., list[Frame]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # on a GPU there is one process
    monkeypatch.setattr("metric.prediction._CHUNK_ATOMS", {"cpu": 40})
    frames = molecules(14, 31, seed=52) + molecules(6, 30, seed=53)
    write(tmp_path / "sample.lmdb", molecules(14, 40, seed=54) + molecules(6, 40, seed=55))
    known = tmp_path / "known.npz"
    async with PredictionPool(2, threads=1, timeout_seconds=240) as pool:
        await pool.learn(small_model.release, "silicon", tmp_path / "sample.lmdb", known, seed=1)
        alone = await pool._first.predict(small_model.release, "silicon", frames, known)
        # The second process is still importing: nobody waits for it, and it is there for the next dataset.
        early = await pool.predict(small_model.release, "silicon", frames, known)
        for ready in pool._ready.values():
            assert await ready == "cpu"
        helper = pool._helpers[0]
        shared = await asyncio.gather(
            *(pool.predict(small_model.release, "silicon", frames, known) for _ in range(2)),
            pool.predict(small_model.release, "carbon", frames),
        )
        assert helper.pid is not None
        for other in (early, *shared[:2]):
            np.testing.assert_array_equal(other.energy, alone.energy)
            np.testing.assert_array_equal(np.concatenate(other.forces), np.concatenate(alone.forces))
            assert other.closeness is not None
            assert alone.closeness is not None
            np.testing.assert_allclose(other.closeness.distance, alone.closeness.distance, rtol=1e-9)
            np.testing.assert_array_equal(other.closeness.means, alone.closeness.means)
        assert shared[2].closeness is None
        # Killed at work, a helper is replaced as the first is; a model without that branch fails the whole.
        os.kill(helper.pid, signal.SIGKILL)
        after = await pool.predict(small_model.release, "silicon", frames)
        np.testing.assert_array_equal(after.energy, alone.energy)
        with pytest.raises(PredictionFailed, match="has no branch 'gold'"):
            await pool.predict(small_model.release, "gold", frames)
        again = await pool.predict(small_model.release, "silicon", frames)
        np.testing.assert_array_equal(again.energy, alone.energy)
    assert not psutil.pid_exists(helper.pid or 0) or helper.pid is None


SERVICE = """
import asyncio
from metric.prediction import PredictionProcess

async def main():
    async with PredictionProcess(threads=1, timeout_seconds=60) as predictions:
        print(predictions.pid, flush=True)
        await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_it_does_not_outlive_a_service_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        child = psutil.Process(int(service.stdout.readline()))
        service.kill()
    deadline = time.monotonic() + 60
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)
