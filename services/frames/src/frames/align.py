"""Energies of two levels of theory differ by a shift for each element: found by least squares."""

from dataclasses import dataclass

import numpy as np

from frames.frame import FloatArray

_RCOND = 1e-10


@dataclass(frozen=True, slots=True)
class Alignment:
    """The shift that explains most of a difference of energies.

    shift     float64 [E], eV per atom of each element
    rank      of the count matrix: below the number of elements present, shift is the shortest of many
    residual  float64 [F], eV: what the shift leaves
    """

    shift: FloatArray
    rank: int
    residual: FloatArray


def align_energies(counts: FloatArray, delta: FloatArray) -> Alignment:
    """argmin over b of ‖delta − counts·b‖₂ with delta = E_pred − E_DFT (pipeline §2).

    counts [F, E] atoms of each element, delta [F] in eV. Subtract counts·shift from a prediction to compare
    it with DFT. Raises ValueError for no frames, other shapes, or numbers that are not finite.
    """
    counts = np.asarray(counts, dtype=np.float64)
    delta = np.asarray(delta, dtype=np.float64)
    if counts.ndim != 2 or delta.shape != counts.shape[:1] or len(delta) == 0:
        raise ValueError(f"counts [F, E] and delta [F] with F ≥ 1 are needed, got {counts.shape} and {delta.shape}")
    if not (np.isfinite(counts).all() and np.isfinite(delta).all()):
        raise ValueError("counts and energies must be finite")
    solution, _, rank, _ = np.linalg.lstsq(counts, delta, rcond=_RCOND)
    shift = np.asarray(solution, dtype=np.float64)
    return Alignment(shift=shift, rank=int(rank), residual=delta - counts @ shift)
