"""Rules on one frame: what its own labels and positions say, without any model.

`measure` looks at a frame once and keeps numbers; levels and sentences are made from those, so that a million
frames cost a table of numbers and not a million sentences.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from contracts.base import RuleResult
from frames.distances import FlatCell, closest_pair
from frames.frame import SYMBOLS, Frame

from metric.domain.limits import Limits
from metric.domain.words import significant

FORCE_CAP = "force-cap"
MIN_DISTANCE = "min-distance"
NET_FORCE = "net-force"
ENERGY_OUTLIER = "energy-outlier"
VIRIAL_SYMMETRY = "virial-symmetry"
SCF_CONVERGED = "scf-converged"
DUPLICATES = "duplicates"
LEAKAGE = "leakage"

RULES = (FORCE_CAP, MIN_DISTANCE, NET_FORCE, ENERGY_OUTLIER, VIRIAL_SYMMETRY, SCF_CONVERGED, DUPLICATES)
"""Those that are asked of every frame. Leakage is asked of the dataset: ingest holds such frames out."""

Level = Literal["fail", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a frame broke: `fail` sets the frame aside, `warn` shows it. The unit is in a number's name."""

    rule: str
    level: Level
    sentence: str
    numbers: dict[str, float]

    def result(self) -> RuleResult:
        """As a report shows it: a warning is a rule that passed with a remark."""
        return RuleResult(rule=self.rule, passed=self.level == "warn", sentence=self.sentence, numbers=self.numbers)


@dataclass(frozen=True, slots=True)
class Pair:
    """The closest two atoms, counted from 0; `ratio` is their distance in units of the sum of covalent radii."""

    first: int
    second: int
    first_element: int
    second_element: int
    distance_angstrom: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Measures:
    """What the rules looked at in one frame.

    closest       None: no two atoms are closer than the warning, or the cell is flat
    flat_volume   Å³ of a cell that does not span space; None: it does, or there is no cell
    converged     None: the source file does not tell
    known         another dataset of the platform holds the same structure
    """

    max_force_ev_per_angstrom: float
    max_force_atom: int
    max_force_element: int
    net_force_mev_per_angstrom: float
    closest: Pair | None
    flat_volume: float | None
    virial_asymmetry: float | None
    converged: bool | None = None
    known: bool = False


def measure(frame: Frame, limits: Limits) -> Measures:
    """The numbers that the rules of one frame are about (pipeline §2)."""
    norms = np.linalg.norm(frame.forces, axis=1)
    atom = int(norms.argmax())
    closest, flat = None, None
    try:
        found = closest_pair(frame, limits.distance_warn_ratio)
    except FlatCell as error:
        flat = error.volume
    else:
        if found is not None:
            elements = int(frame.numbers[found.first]), int(frame.numbers[found.second])
            closest = Pair(found.first, found.second, *elements, found.distance, found.ratio)
    return Measures(
        max_force_ev_per_angstrom=float(norms[atom]),
        max_force_atom=atom,
        max_force_element=int(frame.numbers[atom]),
        net_force_mev_per_angstrom=1000 * float(np.linalg.norm(frame.forces.sum(axis=0))) / frame.natoms,
        closest=closest,
        flat_volume=flat,
        virial_asymmetry=_asymmetry(frame),
        converged=frame.converged,
        known=frame.known,
    )


def where(source: str, number: int) -> str:
    """How a sentence names a frame: its file and its number in it, the one that tables also show."""
    return f"{source}, frame {number}" if source else f"Frame {number}"


def describe(rule: str, level: Level, name: str, measures: Measures, limits: Limits) -> Finding:
    """The sentence for a rule of this module that the frame called `name` broke. Raises KeyError."""
    return _DESCRIBE[rule](level, name, measures, limits)


def _asymmetry(frame: Frame) -> float | None:
    if frame.virial is None:
        return None
    size = float(np.linalg.norm(frame.virial))
    return float(np.linalg.norm(frame.virial - frame.virial.T)) / size if size > 0 else 0.0


def _force_cap(level: Level, name: str, measures: Measures, limits: Limits) -> Finding:
    value = measures.max_force_ev_per_angstrom
    limit = limits.force_fail_ev_per_angstrom if level == "fail" else limits.force_warn_ev_per_angstrom
    sentence = (
        f"{name}: the force on atom {measures.max_force_atom + 1} ({SYMBOLS[measures.max_force_element - 1]}) is "
        f"{significant(value)} eV/Å, above {significant(limit)} eV/Å."
    )
    return Finding(FORCE_CAP, level, sentence, {"max_force_ev_per_angstrom": value})


def _min_distance(level: Level, name: str, measures: Measures, limits: Limits) -> Finding:
    pair = measures.closest
    if pair is None:
        volume = measures.flat_volume or 0.0
        sentence = f"{name}: the cell's volume is {volume:.3g} Å³; the cell must span space."
        return Finding(MIN_DISTANCE, "fail", sentence, {"cell_volume_cubic_angstrom": volume})
    limit = limits.distance_fail_ratio if level == "fail" else limits.distance_warn_ratio
    first, second = SYMBOLS[pair.first_element - 1], SYMBOLS[pair.second_element - 1]
    names = f"{first} {pair.first + 1} and {second} {pair.second + 1}"
    if pair.first == pair.second:
        names = f"{first} {pair.first + 1} and its own periodic image"
    sentence = (
        f"{name}: {names} are {significant(pair.distance_angstrom)} Å apart, {significant(pair.ratio)} of the sum "
        f"of their covalent radii; less than {significant(limit)} is too close."
    )
    numbers = {"distance_angstrom": pair.distance_angstrom, "of_covalent_radii": pair.ratio}
    return Finding(MIN_DISTANCE, level, sentence, numbers)


def _net_force(level: Level, name: str, measures: Measures, limits: Limits) -> Finding:
    value = measures.net_force_mev_per_angstrom
    limit = limits.net_force_fail_mev_per_angstrom if level == "fail" else limits.net_force_warn_mev_per_angstrom
    sentence = (
        f"{name}: the forces do not cancel; their sum is {significant(value)} meV/Å per atom, "
        f"above {significant(limit)} meV/Å."
    )
    return Finding(NET_FORCE, level, sentence, {"net_force_mev_per_angstrom_per_atom": value})


def _virial_symmetry(level: Level, name: str, measures: Measures, _limits: Limits) -> Finding:
    value = measures.virial_asymmetry or 0.0
    sentence = (
        f"{name}: the virial is not symmetric; it differs from its transpose by {significant(value)} of its size."
    )
    return Finding(VIRIAL_SYMMETRY, level, sentence, {"virial_asymmetry_ratio": value})


def _scf_converged(level: Level, name: str, _measures: Measures, _limits: Limits) -> Finding:
    sentence = f"{name}: its file says that the self-consistency did not converge, so its labels are not to be trusted."
    return Finding(SCF_CONVERGED, level, sentence, {})


def _duplicates(level: Level, name: str, _measures: Measures, _limits: Limits) -> Finding:
    sentence = f"{name}: another dataset of the platform holds the same structure; it teaches little that is new."
    return Finding(DUPLICATES, level, sentence, {})


_DESCRIBE = {
    FORCE_CAP: _force_cap,
    MIN_DISTANCE: _min_distance,
    NET_FORCE: _net_force,
    VIRIAL_SYMMETRY: _virial_symmetry,
    SCF_CONVERGED: _scf_converged,
    DUPLICATES: _duplicates,
}
