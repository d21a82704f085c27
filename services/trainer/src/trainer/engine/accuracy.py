"""Errors of predictions on held-out frames, in the units that people read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contracts.artifacts import FrameErrors
from contracts.base import BranchError
from dpa.batches import Prediction
from frames.baseline import Baseline
from frames.errors import energy_rmse, force_rmse, max_force_error
from frames.frame import FloatArray, Frame

from trainer.child import AttemptFailed

MILLI = 1e3


@dataclass(frozen=True, slots=True)
class Accuracy:
    """error: RMSE without alignment; max_force_errors: max over atoms of ‖ΔF‖ of each frame, eV/Å."""

    error: BranchError
    max_force_errors: tuple[float, ...]
    frames: FrameErrors


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
    largest = tuple(float(one) for one in max_force_error(prediction.forces, forces))
    return Accuracy(error, largest, frame_errors(energy, prediction.forces, frames))


def frame_errors(energy: FloatArray, forces: Sequence[FloatArray], frames: Sequence[Frame]) -> FrameErrors:
    """energy [F]: predicted minus DFT, eV; forces: predicted, [n, 3] a frame, eV/Å."""
    return FrameErrors(
        energy_mev_per_atom=tuple(
            _short(MILLI * abs(float(one)) / frame.natoms) for one, frame in zip(energy, frames, strict=True)
        ),
        force_mev_per_angstrom=tuple(
            _short(MILLI * force_rmse([one], [frame.forces])) for one, frame in zip(forces, frames, strict=True)
        ),
    )


def baseline_errors(baseline: Baseline, frames: Sequence[Frame]) -> FrameErrors:
    """Of the composition-only baseline: energies by element, forces zero."""
    energy = baseline.energies(frames) - np.array([frame.energy for frame in frames])
    return frame_errors(energy, [np.zeros_like(frame.forces) for frame in frames], frames)


def _short(value: float) -> float:
    """Six digits: a manifest holds thousands of these."""
    return float(f"{value:.6g}")
