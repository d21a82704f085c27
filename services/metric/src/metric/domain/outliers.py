"""Energy outliers: what a robust fit of energy on composition cannot explain."""

from dataclasses import dataclass

import numpy as np
from frames.frame import FloatArray, IntArray

from metric.domain.checks import ENERGY_OUTLIER, Finding, Level
from metric.domain.limits import Limits
from metric.domain.words import significant

_ITERATIONS = 50
_SMALLEST_RESIDUAL = 1e-6
_MAD_TO_SIGMA = 1.4826
# Below 1 meV/atom the spread of a set is noise of its labels; a frame is not odd for leaving that.
_SMALLEST_SIGMA = 1e-3


@dataclass(frozen=True, slots=True)
class EnergyResiduals:
    """residual [F], eV/atom; robust_z [F], distance from the median in robust standard deviations."""

    residual: FloatArray
    robust_z: FloatArray


def energy_residuals(counts: FloatArray, composition: IntArray, energies: FloatArray) -> EnergyResiduals:
    """Least absolute deviations of energy per atom on composition.

    counts [C, E] atoms of each element in each composition, composition [F] which of them a frame has, energies [F]
    eV. Iteratively reweighted least squares: one frame, however wrong, cannot pull the fit. Undetermined directions
    (one composition only) stay at the median.
    """
    natoms = counts.sum(axis=1)
    fractions = counts / natoms[:, None]
    per_atom = energies / natoms[composition]
    centre = float(np.median(per_atom))
    # Fractions sum to one, so a uniform shift of all elements is the offset: the fit starts around the median.
    target = per_atom - centre
    weights = np.ones_like(target)
    for _ in range(_ITERATIONS):
        # Frames of one composition share a row: their weighted mean stands for them, and the fit is the same.
        total = np.bincount(composition, weights, minlength=len(counts))
        mean = np.bincount(composition, weights * target, minlength=len(counts)) / total
        root = np.sqrt(total)
        solution = np.linalg.lstsq(fractions * root[:, None], mean * root, rcond=1e-10)[0]
        residual = target - (fractions @ solution)[composition]
        weights = 1 / np.maximum(np.abs(residual), _SMALLEST_RESIDUAL)
    middle = float(np.median(residual))
    sigma = max(_MAD_TO_SIGMA * float(np.median(np.abs(residual - middle))), _SMALLEST_SIGMA)
    return EnergyResiduals(residual=residual, robust_z=np.abs(residual - middle) / sigma)


def energy_finding(level: Level, name: str, residual: float, robust_z: float, limits: Limits) -> Finding:
    """`name` is how the sentence names the frame; residual eV/atom."""
    numbers = {"residual_ev_per_atom": residual, "robust_z": robust_z}
    off = f"{name}: the energy is {significant(abs(residual))} eV/atom {'above' if residual > 0 else 'below'} what"
    if level == "fail":
        limit = significant(limits.energy_fail_ev_per_atom)
        sentence = f"{off} its composition explains; the limit is {limit} eV/atom."
    else:
        sentence = f"{off} its composition explains, {significant(robust_z)} robust standard deviations."
    return Finding(ENERGY_OUTLIER, level, sentence, numbers)
