"""Which frames fail and which warn, rule by rule, for all frames at once."""

import numpy as np
from frames.frame import FloatArray
from numpy.typing import NDArray

from metric.domain import checks
from metric.domain.limits import Limits
from metric.domain.records import Records

Levels = NDArray[np.uint8]
KEPT, WARNED, FAILED = 0, 1, 2
# Of a soft bond: metals have 5 to 10, silicon 14, O-H 50.
_STIFFNESS_EV_PER_ANGSTROM2 = 10.0


def levels(records: Records, limits: Limits) -> dict[str, Levels]:
    """Rule → level of each frame, [F]. The rules and their order: `checks.RULES`."""
    rows = records.rows
    ratio, flat = rows["closest_ratio"], rows["flat_volume"]
    residual = np.abs(rows["residual_ev_per_atom"])
    # A comparison with NaN (no close pair, no virial) is false: nothing is broken.
    found = {
        checks.FORCE_CAP: (
            rows["force_ev_per_angstrom"] > limits.force_fail_ev_per_angstrom,
            rows["force_ev_per_angstrom"] > limits.force_warn_ev_per_angstrom,
        ),
        checks.MIN_DISTANCE: (
            (ratio < limits.distance_fail_ratio) | ~np.isnan(flat),
            ratio < limits.distance_warn_ratio,
        ),
        checks.NET_FORCE: (
            rows["net_force_mev_per_angstrom"] > limits.net_force_fail_mev_per_angstrom,
            rows["net_force_mev_per_angstrom"] > limits.net_force_warn_mev_per_angstrom,
        ),
        checks.ENERGY_OUTLIER: (
            residual > limits.energy_fail_ev_per_atom + _explained(rows),
            rows["robust_z"] > limits.energy_warn_robust_z,
        ),
        checks.VIRIAL_SYMMETRY: (
            rows["virial_asymmetry"] > limits.virial_fail_ratio,
            rows["virial_asymmetry"] > limits.virial_warn_ratio,
        ),
        checks.SCF_CONVERGED: (rows["converged"] == 0, np.zeros(len(rows), dtype=np.bool_)),
        checks.DUPLICATES: (np.zeros(len(rows), dtype=np.bool_), rows["known"]),
    }
    return {
        rule: np.where(fail, FAILED, np.where(warn, WARNED, KEPT)).astype(np.uint8)
        for rule, (fail, warn) in found.items()
    }


def _explained(rows: NDArray[np.void]) -> FloatArray:
    """eV/atom by which strong forces explain an energy above the usual, as in hot or compressed matter.

    Displacements of a harmonic crystal: energy = F²/2k an atom; of the atoms' F² a third of the largest is usual.
    """
    above = rows["residual_ev_per_atom"] > 0
    return np.where(above, rows["force_ev_per_angstrom"] ** 2 / (6 * _STIFFNESS_EV_PER_ANGSTROM2), 0.0)


def worst(by_rule: dict[str, Levels]) -> Levels:
    """The level of each frame: that of the rule that it broke worst."""
    found: Levels = np.maximum.reduce(list(by_rule.values()))
    return found
