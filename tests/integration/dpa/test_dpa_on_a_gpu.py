"""What only a GPU can show: `make test-gpu`."""

import os
import subprocess
import sys

import numpy as np
import pytest
from dpa.environment import environment

os.environ.update(environment())

from dpa.predictor import Predictor, device, give_memory_back  # torch reads the environment at import
from reference_model import RELEASE, held_out_frames

import torch  # isort: skip

pytestmark = pytest.mark.skipif(device() == "cpu", reason="there is no GPU here")


def test_what_its_memory_does_not_hold_is_halved_until_it_does() -> None:
    """The cap is torch's own, for this process: what is beyond it is the error of a full GPU."""
    predictor, frames = Predictor(RELEASE, "water"), list(held_out_frames("water")) * 40
    give_memory_back()
    torch.cuda.reset_peak_memory_stats()
    whole = predictor.predict(frames)
    most, errors = torch.cuda.max_memory_allocated(), torch.cuda.memory_stats()["num_ooms"]
    give_memory_back()
    torch.cuda.set_per_process_memory_fraction(most / 3 / torch.cuda.mem_get_info()[1])
    try:
        parts = predictor.predict(frames)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert torch.cuda.memory_stats()["num_ooms"] > errors
    np.testing.assert_allclose(parts.energy, whole.energy, atol=1e-3)
    np.testing.assert_allclose(np.concatenate(parts.forces), np.concatenate(whole.forces), atol=1e-4)


def test_what_a_prediction_took_can_be_given_back() -> None:
    Predictor(RELEASE, "water").predict(list(held_out_frames("water")) * 4)
    kept = torch.cuda.memory_reserved()
    give_memory_back()
    assert torch.cuda.memory_reserved() < kept


BROKEN = """
import torch
from dpa.predictor import usable
assert usable()
try:
    torch.zeros(2, device="cuda")[torch.tensor([5], device="cuda")].cpu()
except RuntimeError as error:
    print(usable(), str(error).splitlines()[0], flush=True)
"""


def test_a_process_knows_that_its_gpu_no_longer_works_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True)
    assert done.stdout.startswith("False CUDA error: device-side assert triggered"), done.stdout + done.stderr
