"""The thresholds of every rule, with units in their names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What fails, what warns, what counts as new. `settings.py` describes each one and gives its default."""

    force_fail_ev_per_angstrom: float
    force_warn_ev_per_angstrom: float
    distance_fail_ratio: float
    distance_warn_ratio: float
    net_force_fail_mev_per_angstrom: float
    net_force_warn_mev_per_angstrom: float
    energy_fail_ev_per_atom: float
    energy_warn_robust_z: float
    virial_fail_ratio: float
    virial_warn_ratio: float
    max_failed_fraction: float
    new_below_coverage: float
    correlation_floor: float
    sign_correlation: float
    unit_correlation: float
    partly_known_correlation: float
    understood_correlation: float
    consistent_steps: float
    long_bond_ratio: float
    energy_correlation: float
    virial_correlation: float
