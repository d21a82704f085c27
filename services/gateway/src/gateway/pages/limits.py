"""The thresholds of the check in words, by the rule that they are of."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.pages.phrases import N_
from gateway.pages.words import number, percent, quantity

VERDICT = "verdict"
SAMPLE = "sample"
OTHER = "other"
SHARE = "%"
RADII = "× Σ r"


@dataclass(frozen=True, slots=True)
class _Limit:
    setting: str
    words: str
    unit: str | None = None
    """None: it is in the setting's name."""

    def shown(self, value: float) -> str:
        if self.unit is None:
            return quantity(self.setting, value)[1]
        if self.unit == SHARE:
            return percent(value)
        return f"{number(value)} {self.unit}".rstrip()


_LIMITS = {
    VERDICT: (
        _Limit("max_failed_fraction", N_("sound with at most this share of failed frames:")),
        _Limit("new_below_coverage", N_("new below coverage")),
    ),
    "force-cap": (
        _Limit("force_fail_ev_per_angstrom", N_("fails above")),
        _Limit("force_warn_ev_per_angstrom", N_("warns above")),
    ),
    "min-distance": (
        _Limit("distance_fail_ratio", N_("fails below"), RADII),
        _Limit("distance_warn_ratio", N_("warns below"), RADII),
    ),
    "net-force": (
        _Limit("net_force_fail_mev_per_angstrom", N_("fails above"), "meV/Å per atom"),
        _Limit("net_force_warn_mev_per_angstrom", N_("warns above"), "meV/Å per atom"),
    ),
    "energy-outlier": (
        _Limit("energy_fail_ev_per_atom", N_("fails above")),
        _Limit("energy_warn_robust_z", N_("warns above robust z")),
    ),
    "virial-symmetry": (
        _Limit("virial_fail_ratio", N_("fails above"), ""),
        _Limit("virial_warn_ratio", N_("warns above"), ""),
    ),
    "consistent-labels": (_Limit("consistent_steps", N_("at least agreeing steps"), SHARE),),
    "plausible-labels": (
        _Limit("correlation_floor", N_("unrelated below a correlation of")),
        _Limit("understood_correlation", N_("which is said only where energies correlate from")),
        _Limit("sign_correlation", N_("sign turned from a correlation of")),
        _Limit("unit_correlation", N_("another unit from a correlation of")),
        _Limit("partly_known_correlation", N_("either, beside elements that are new to the branch, from")),
    ),
    "plausible-lengths": (_Limit("long_bond_ratio", N_("too long above"), RADII),),
    "plausible-energies": (_Limit("energy_correlation", N_("another sign or unit from a correlation of")),),
    "plausible-virials": (_Limit("virial_correlation", N_("sign turned from a correlation of")),),
    SAMPLE: (
        _Limit("max_frames", N_("frames that the model predicts, at most")),
        _Limit("known_frames", N_("training frames that they are compared with, at most")),
        _Limit("known_frames_per_branch", N_("of one branch at most")),
        _Limit("seed", N_("seed")),
    ),
}
NAMED = frozenset(limit.setting for limits in _LIMITS.values() for limit in limits)


def limits(settings: Mapping[str, float]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(rule, [(words, value with unit)]) of the settings that there are; what has no words comes last, as OTHER."""
    groups = [
        (rule, [(one.words, one.shown(settings[one.setting])) for one in known if one.setting in settings])
        for rule, known in _LIMITS.items()
    ]
    groups.append((OTHER, [quantity(name, settings[name]) for name in sorted(settings.keys() - NAMED)]))
    return [(rule, found) for rule, found in groups if found]
