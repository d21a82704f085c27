"""Errors of predictions on held-out frames, in the units that people read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contracts.base import BranchError
from dpa.batches import Prediction
from frames.errors import energy_rmse, force_rmse, max_force_error
from frames.frame import Frame

from trainer.child import AttemptFailed

MILLI = 1e3


@dataclass(frozen=True, slots=True)
class Accuracy:
    """error: RMSE without alignment; max_force_errors: max over atoms of ‖ΔF‖ of each frame, eV/Å."""

    error: BranchError
    max_force_errors: tuple[float, ...]


def measure(branch: str, prediction: Prediction, frames: Sequence[Frame]) -> Accuracy:
    """Compare with DFT. Raises AttemptFailed ('not-finite') when the model predicts no numbers."""
    forces = [frame.forces for frame in frames]
    energy = prediction.energy - np.array([frame.energy for frame in frames])
    errors = energy_rmse(energy, [frame.natoms for frame in frames]), force_rmse(prediction.forces, forces)
    if not np.isfinite(errors).all():
        raise AttemptFailed(
            "not-finite", f"branch {branch} predicts energies or forces that are no numbers", retryable=True
        )
    error = BranchError(
        branch=branch, energy_rmse_mev_per_atom=errors[0] * MILLI, force_rmse_mev_per_angstrom=errors[1] * MILLI
    )
    return Accuracy(error, tuple(float(one) for one in max_force_error(prediction.forces, forces)))
