"""The energy of each element of a branch, fitted to training frames: what labels' zero of energy leaves open."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from dpa.batches import Prediction
from frames.align import align_energies
from frames.frame import SYMBOLS, FloatArray, Frame, element_counts


def energy_shift(predicted: Prediction, sample: Sequence[Frame], start_ev: Mapping[str, float]) -> FloatArray:
    """To add to the prediction of the sample: float64 [118], eV per atom of each element.

    Where the compositions leave it open, it stays near `start_ev`, or near one common shift.
    Raises ValueError for a prediction that is not finite.
    """
    missing = np.array([frame.energy for frame in sample]) - predicted.energy
    counts = element_counts(sample)
    common = float(np.mean(missing / counts.sum(axis=1)))
    start = np.array([start_ev.get(symbol, common) for symbol in SYMBOLS])
    return start + align_energies(counts, missing - counts @ start).shift


def shifted(predicted: Prediction, frames: Sequence[Frame], shift: FloatArray) -> Prediction:
    """The prediction of the frames with `shift`, eV per atom of each element [118], added to the energies."""
    return replace(predicted, energy=predicted.energy + element_counts(frames) @ shift)


def by_symbol(shift: FloatArray, elements: Iterable[str]) -> dict[str, float]:
    """Those elements' part of `shift` [118]."""
    return {symbol: float(shift[SYMBOLS.index(symbol)]) for symbol in elements}
