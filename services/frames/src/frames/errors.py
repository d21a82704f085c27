"""Errors of a prediction against DFT, and the threshold below which a frame counts as known (pipeline §2)."""

from collections.abc import Sequence

import numpy as np

from frames.frame import FloatArray

THRESHOLD_FLOOR_EV_PER_ANGSTROM = 0.05
_CONFORMAL_AT_LEAST = 19
_SMALL_SAMPLE_FACTOR = 1.25


def energy_rmse(residual: FloatArray, natoms: Sequence[int] | FloatArray) -> float:
    """√mean((ΔE/N)²), eV/atom; residual [F] in eV after alignment, natoms [F]."""
    residual = np.asarray(residual, dtype=np.float64)
    atoms = np.asarray(natoms, dtype=np.float64)
    if residual.shape != atoms.shape or residual.size == 0:
        raise ValueError(f"one atom count a frame is needed, got {residual.shape} and {atoms.shape}")
    return float(np.sqrt(np.mean((residual / atoms) ** 2)))


def force_rmse(predicted: Sequence[FloatArray], reference: Sequence[FloatArray]) -> float:
    """√(Σ‖ΔF‖²/3N) over all atoms of all frames, eV/Å; one array [n, 3] a frame."""
    squared = sum(float(np.sum(d**2)) for d in _differences(predicted, reference))
    components = sum(np.size(one) for one in reference)
    if components == 0:
        raise ValueError("no forces to compare")
    return float(np.sqrt(squared / components))


def max_force_error(predicted: Sequence[FloatArray], reference: Sequence[FloatArray]) -> FloatArray:
    """Largest ‖ΔF_i‖ over the atoms of each frame: float64 [F], eV/Å."""
    norms = [float(np.max(np.linalg.norm(d, axis=1))) for d in _differences(predicted, reference)]
    return np.array(norms, dtype=np.float64)


def conformal_threshold(held_out_errors: Sequence[float] | FloatArray) -> float:
    """The largest force error (eV/Å) that a frame like the held-out ones stays below in 95 % of cases.

    Of n held-out frames the ⌈0.95(n+1)⌉-th smallest; with n < 19 the largest times 1.25; never below
    0.05 eV/Å. Without held-out frames it is that floor. Raises ValueError for errors that are not finite.
    """
    errors = np.sort(np.asarray(held_out_errors, dtype=np.float64))
    if not np.isfinite(errors).all():
        raise ValueError("held-out errors must be finite")
    count = len(errors)
    if count == 0:
        return THRESHOLD_FLOOR_EV_PER_ANGSTROM
    if count < _CONFORMAL_AT_LEAST:
        threshold = float(errors[-1]) * _SMALL_SAMPLE_FACTOR
    else:
        # In integers: 0.95 × (n + 1) in floating point may land above a whole number.
        rank = -(-95 * (count + 1) // 100)
        threshold = float(errors[rank - 1])
    return max(threshold, THRESHOLD_FLOOR_EV_PER_ANGSTROM)


def _differences(predicted: Sequence[FloatArray], reference: Sequence[FloatArray]) -> list[FloatArray]:
    if len(predicted) != len(reference):
        raise ValueError(f"{len(predicted)} predictions for {len(reference)} frames")
    differences = []
    for position, (left, right) in enumerate(zip(predicted, reference, strict=True)):
        if np.shape(left) != np.shape(right) or np.ndim(left) != 2 or len(left) == 0:
            raise ValueError(f"frame {position}: forces of shapes {np.shape(left)} and {np.shape(right)}")
        differences.append(np.asarray(left, dtype=np.float64) - np.asarray(right, dtype=np.float64))
    return differences
