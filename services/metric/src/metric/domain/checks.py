"""Rules on one frame: what its own labels and positions say, without any model."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from contracts.base import RuleResult
from frames.frame import Frame

from metric.domain.distances import FlatCell, closest_pair
from metric.domain.limits import Limits
from metric.domain.words import significant

FORCE_CAP = "force-cap"
MIN_DISTANCE = "min-distance"
NET_FORCE = "net-force"
ENERGY_OUTLIER = "energy-outlier"
VIRIAL_SYMMETRY = "virial-symmetry"

RULES = (FORCE_CAP, MIN_DISTANCE, NET_FORCE, ENERGY_OUTLIER, VIRIAL_SYMMETRY)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a frame broke: `fail` sets the frame aside, `warn` shows it. The unit is in a number's name."""

    rule: str
    level: Literal["fail", "warn"]
    sentence: str
    numbers: dict[str, float]

    def result(self) -> RuleResult:
        """As a report shows it: a warning is a rule that passed with a remark."""
        return RuleResult(rule=self.rule, passed=self.level == "warn", sentence=self.sentence, numbers=self.numbers)


@dataclass(frozen=True, slots=True)
class Measures:
    """What the rules looked at in one frame, found or not: the worst of them goes into the report."""

    max_force_ev_per_angstrom: float
    net_force_mev_per_angstrom: float
    closest_ratio: float | None
    virial_asymmetry: float | None


def check_frame(frame: Frame, limits: Limits) -> tuple[Measures, list[Finding]]:
    """Every rule that needs one frame only (pipeline §2)."""
    max_force, force_finding = _force_cap(frame, limits)
    net_force, net_finding = _net_force(frame, limits)
    ratio, distance_finding = _min_distance(frame, limits)
    asymmetry, virial_finding = _virial_symmetry(frame, limits)
    found = (force_finding, distance_finding, net_finding, virial_finding)
    return Measures(max_force, net_force, ratio, asymmetry), [one for one in found if one is not None]


def where(frame: Frame) -> str:
    """How a sentence names a frame: its file and its index in it, the number that the reports also show."""
    return f"{frame.source}, frame {frame.index}" if frame.source else f"Frame {frame.index}"


def _level(value: float, fail: float, warn: float) -> Literal["fail", "warn"] | None:
    return "fail" if value > fail else "warn" if value > warn else None


def _force_cap(frame: Frame, limits: Limits) -> tuple[float, Finding | None]:
    norms = np.linalg.norm(frame.forces, axis=1)
    atom = int(norms.argmax())
    value = float(norms[atom])
    fail, warn = limits.force_fail_ev_per_angstrom, limits.force_warn_ev_per_angstrom
    level = _level(value, fail, warn)
    if level is None:
        return value, None
    sentence = (
        f"{where(frame)}: the force on atom {atom + 1} ({frame.symbols[atom]}) is {significant(value)} eV/Å, "
        f"above {significant(fail if level == 'fail' else warn)} eV/Å."
    )
    return value, Finding(FORCE_CAP, level, sentence, {"max_force_ev_per_angstrom": value})


def _min_distance(frame: Frame, limits: Limits) -> tuple[float | None, Finding | None]:
    try:
        pair = closest_pair(frame, limits.distance_warn_ratio)
    except FlatCell as error:
        return None, Finding(MIN_DISTANCE, "fail", f"{where(frame)}: {error}; the cell must span space.", {})
    if pair is None:
        return None, None
    level: Literal["fail", "warn"] = "fail" if pair.ratio < limits.distance_fail_ratio else "warn"
    limit = limits.distance_fail_ratio if level == "fail" else limits.distance_warn_ratio
    symbols = frame.symbols
    names = f"{symbols[pair.first]} {pair.first + 1} and {symbols[pair.second]} {pair.second + 1}"
    if pair.first == pair.second:
        names = f"{symbols[pair.first]} {pair.first + 1} and its own periodic image"
    sentence = (
        f"{where(frame)}: {names} are {significant(pair.distance)} Å apart, {significant(pair.ratio)} of the sum "
        f"of their covalent radii; less than {significant(limit)} is too close."
    )
    numbers = {"distance_angstrom": pair.distance, "of_covalent_radii": pair.ratio}
    return pair.ratio, Finding(MIN_DISTANCE, level, sentence, numbers)


def _net_force(frame: Frame, limits: Limits) -> tuple[float, Finding | None]:
    value = 1000 * float(np.linalg.norm(frame.forces.sum(axis=0))) / frame.natoms
    fail, warn = limits.net_force_fail_mev_per_angstrom, limits.net_force_warn_mev_per_angstrom
    level = _level(value, fail, warn)
    if level is None:
        return value, None
    sentence = (
        f"{where(frame)}: the forces do not cancel; their sum is {significant(value)} meV/Å per atom, "
        f"above {significant(fail if level == 'fail' else warn)} meV/Å."
    )
    return value, Finding(NET_FORCE, level, sentence, {"net_force_mev_per_angstrom_per_atom": value})


def _virial_symmetry(frame: Frame, limits: Limits) -> tuple[float | None, Finding | None]:
    if frame.virial is None:
        return None, None
    size = float(np.linalg.norm(frame.virial))
    value = float(np.linalg.norm(frame.virial - frame.virial.T)) / size if size > 0 else 0.0
    level = _level(value, limits.virial_fail_ratio, limits.virial_warn_ratio)
    if level is None:
        return value, None
    sentence = f"{where(frame)}: the virial is not symmetric; ‖W − Wᵀ‖ is {significant(value)} of ‖W‖."
    return value, Finding(VIRIAL_SYMMETRY, level, sentence, {"virial_asymmetry_ratio": value})
