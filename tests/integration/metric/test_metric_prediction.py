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

import numpy as np
import psutil
import pytest
from frames.frame import Frame
from metric.prediction import PredictionFailed, PredictionProcess


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


async def test_a_process_that_hangs_is_ended(molecules: Callable[..., list[Frame]], tmp_path: Path) -> None:
    # It takes longer than that to import deepmd.
    async with PredictionProcess(threads=1, timeout_seconds=0.05) as predictions:
        with pytest.raises(PredictionFailed, match=r"no answer in 0.05 s, 2 times in a row"):
            await predictions.predict(tmp_path / "model.pt", "silicon", molecules(14, 1, seed=60))


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
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
