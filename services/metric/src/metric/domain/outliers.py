"""Energy outliers: what a robust fit of energy on composition cannot explain."""

from dataclasses import dataclass

import numpy as np
from frames.frame import FloatArray

from metric.domain.checks import ENERGY_OUTLIER, Finding
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


def energy_residuals(counts: FloatArray, energies: FloatArray) -> EnergyResiduals:
    """Least absolute deviations of energy per atom on composition.

    counts [F, E] atoms of each element, energies [F] eV. Iteratively reweighted least squares: one frame, however
    wrong, cannot pull the fit. Undetermined directions (one composition only) stay at the median.
    """
    natoms = counts.sum(axis=1)
    per_atom = energies / natoms
    present = counts.any(axis=0)
    fractions = counts[:, present] / natoms[:, None]
    centre = float(np.median(per_atom))
    # Fractions sum to one, so a uniform shift of all elements is the offset: the fit starts around the median.
    target = per_atom - centre
    weights = np.ones_like(target)
    for _ in range(_ITERATIONS):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(fractions * root[:, None], target * root, rcond=1e-10)[0]
        residual = target - fractions @ solution
        weights = 1 / np.maximum(np.abs(residual), _SMALLEST_RESIDUAL)
    middle = float(np.median(residual))
    sigma = max(_MAD_TO_SIGMA * float(np.median(np.abs(residual - middle))), _SMALLEST_SIGMA)
    return EnergyResiduals(residual=residual, robust_z=np.abs(residual - middle) / sigma)


def energy_finding(name: str, residual: float, robust_z: float, limits: Limits) -> Finding | None:
    """`name` is how the sentence names the frame; residual eV/atom."""
    numbers = {"residual_ev_per_atom": residual, "robust_z": robust_z}
    off = f"{name}: the energy is {significant(abs(residual))} eV/atom {'above' if residual > 0 else 'below'} what"
    if abs(residual) > limits.energy_fail_ev_per_atom:
        sentence = (
            f"{off} its composition explains; the limit is {significant(limits.energy_fail_ev_per_atom)} eV/atom."
        )
        return Finding(ENERGY_OUTLIER, "fail", sentence, numbers)
    if robust_z > limits.energy_warn_robust_z:
        sentence = f"{off} its composition explains, {significant(robust_z)} robust standard deviations."
        return Finding(ENERGY_OUTLIER, "warn", sentence, numbers)
    return None
