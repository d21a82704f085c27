"""Which branch for these elements, or this structure: pure rules over what is published of the branches.

Near is who knows the elements, and only then whose error is small (docs/decisions/0013), as the metric judges it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from contracts.artifacts import DatasetManifest, PublishedBranch
from frames.crowds import closest_of_many
from frames.distances import ClosestPair, FlatCell
from frames.frame import ATOMIC_NUMBERS, SYMBOLS, FloatArray, IntArray, formula
from frames.nearness import by_nearness, familiarity
from frames.pairs import in_order, pairs_of_elements, pairs_of_formula, pairs_of_manifest
from frames.radii import COVALENT_RADII

from registry.domain.refusals import InvalidField

OVERLAP = 0.5
"""Of the sum of covalent radii: the metric sets such frames aside (min-distance)."""
SHORTER = 0.95
DENSER, THINNER = 1.1, 0.9
"""The frames that are shown are a sample: a little beyond them is not yet out of the domain."""
MOST_ATOMS = 200_000
FARTHEST = 1e6
"""Å. Nobody computes farther away, and numbers beyond are mistakes of units or of memory."""
CROWDED = 1.0
"""Atoms/Å³; the densest solid has 0.18. Atoms in such a cell overlap, without looking at pairs."""
_FAR_APART = 1.2


class ReasonKind(StrEnum):
    """Why something is out of a branch's domain."""

    UNKNOWN_ELEMENT = "unknown-element"
    UNKNOWN_PAIR = "unknown-pair"
    OVERLAPPING_ATOMS = "overlapping-atoms"
    SHORT_DISTANCE = "short-distance"
    DENSITY = "density"


@dataclass(frozen=True, slots=True)
class Reason:
    """`value` and `limit` in Å or atoms/Å³; 0 where there is no number."""

    kind: ReasonKind
    sentence: str
    subjects: tuple[str, ...] = ()
    value: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a branch is wanted for. Elements alone have neither a closest pair nor a density.

    elements  by atomic number
    pairs     that occur together
    numbers   int64 [n] of a structure's atoms
    density   atoms/Å³ of a periodic structure
    crowded   atoms overlap, as there are too many for the cell
    """

    elements: tuple[str, ...]
    pairs: frozenset[str]
    numbers: IntArray | None = None
    closest: ClosestPair | None = None
    density: float | None = None
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is public of a branch's training data beyond its elements.

    pairs    of elements that occur together; empty: not told
    frames   how many frames are shown; the numbers below are of those
    ratio    the closest two atoms in units of the sum of their covalent radii; None: none is shown
    density  least and most atoms/Å³; None: no periodic frame is shown
    """

    pairs: frozenset[str] = frozenset()
    frames: int = 0
    ratio: float | None = None
    density: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A branch whose elements are public."""

    branch: PublishedBranch
    facts: Facts
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """A branch at its place. `reasons`: why what was asked for is out of its domain; none: it is in."""

    name: str
    familiarity: float
    reasons: tuple[Reason, ...]
    basis: str


def asked_of_elements(symbols: Sequence[str], numbers: Sequence[int]) -> Asked:
    """Raises InvalidField."""
    found = {_number(symbol, f"elements.symbols[{place}]") for place, symbol in enumerate(symbols)}
    found |= {_known(number, f"elements.numbers[{place}]") for place, number in enumerate(numbers)}
    if not found:
        raise InvalidField("elements", "no element was given: send symbols like 'Si', or atomic numbers")
    elements = tuple(SYMBOLS[number - 1] for number in sorted(found))
    unlike = frozenset(pair for pair in pairs_of_elements(elements) if len(set(pair.split("-"))) == 2)
    return Asked(elements, unlike)


def atoms_of(
    symbols: Sequence[str], numbers: Sequence[int], positions: FloatArray, cell: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray | None]:
    """Numbers int64 [n], coordinates float64 [n, 3] and cell float64 [3, 3] of flat lists. Raises InvalidField."""
    if len(symbols) and len(numbers):
        raise InvalidField("structure.numbers", "structure has symbols and numbers: send one of them")
    natoms = max(len(symbols), len(numbers))
    if not natoms:
        raise InvalidField("structure.symbols", "structure has no atoms")
    if natoms > MOST_ATOMS:
        raise InvalidField(
            "structure.symbols", f"structure has {natoms} atoms, and at most {MOST_ATOMS} are looked at: send a part"
        )
    if len(positions) != 3 * natoms:
        raise InvalidField(
            "structure.positions",
            f"structure.positions has {len(positions)} numbers; {natoms} atoms have {3 * natoms}: x, y, z of each",
        )
    if len(cell) not in (0, 9):
        raise InvalidField("structure.cell", f"structure.cell has {len(cell)} numbers, not 9; none: not periodic")
    for field, values in (("positions", positions), ("cell", cell)):
        wrong = np.flatnonzero(~(np.abs(values) < FARTHEST))
        if wrong.size:
            raise InvalidField(
                f"structure.{field}[{wrong[0]}]",
                f"structure.{field}[{wrong[0]}] is {values[wrong[0]]:g}: not a number in Å below {FARTHEST:g}",
            )
    if len(symbols):
        table = {symbol: _number(symbol, "structure.symbols") for symbol in dict.fromkeys(symbols)}
        chosen = [table[symbol] for symbol in symbols]
    else:
        for number in dict.fromkeys(numbers):
            _known(number, "structure.numbers")
        chosen = list(numbers)
    return np.array(chosen, dtype=np.int64), positions.reshape(-1, 3), cell.reshape(3, 3) if len(cell) else None


def asked_of_structure(numbers: IntArray, coords: FloatArray, cell: FloatArray | None) -> Asked:
    """Seconds for 100,000 atoms. Raises InvalidField for a cell without volume."""
    elements = tuple(SYMBOLS[number - 1] for number in np.unique(numbers))
    pairs = pairs_of_formula(formula(numbers))
    density = None
    if cell is not None:
        volume = abs(float(np.linalg.det(cell)))
        areas = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
        if volume < 1e-3 or not areas.all():
            raise InvalidField("structure.cell", str(FlatCell(volume)) + ": its vectors do not span space")
        density = len(numbers) / volume
        if density > CROWDED or (volume / areas).min() < 2 * OVERLAP * float(COVALENT_RADII.min()):
            return Asked(elements, pairs, numbers, None, density, crowded=True)
    closest = closest_of_many(numbers, coords, cell, _FAR_APART)
    return Asked(elements, pairs, numbers, closest, density)


def facts_of(manifest: DatasetManifest) -> Facts:
    """From what a public dataset's page shows to everyone."""
    ratios, densities = [], []
    for shown in manifest.preview:
        if not shown.symbols:
            continue
        numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in shown.symbols], dtype=np.int64)
        coords = np.array(shown.positions, dtype=np.float64).reshape(-1, 3)
        cell = None if shown.cell is None else np.array(shown.cell, dtype=np.float64)
        try:
            closest = closest_of_many(numbers, coords, cell, _FAR_APART)
        except FlatCell:
            continue
        if closest is not None:
            ratios.append(closest.ratio)
        if cell is not None:
            densities.append(len(numbers) / abs(float(np.linalg.det(cell))))
    return Facts(
        pairs=pairs_of_manifest(manifest),
        frames=len(manifest.preview),
        ratio=min(ratios, default=None),
        density=(min(densities), max(densities)) if densities else None,
    )


def rank(candidates: Sequence[Candidate], asked: Asked) -> list[Ranked]:
    """The branch to use first."""
    found = [(one, reasons_of(one, asked)) for one in candidates]
    elements = frozenset(asked.elements)

    def knows(entry: tuple[Candidate, tuple[Reason, ...]]) -> float:
        return familiarity(elements, frozenset(entry[0].branch.elements))

    def error(entry: tuple[Candidate, tuple[Reason, ...]]) -> tuple[bool, bool, float, str]:
        one, reasons = entry
        return bool(reasons), one.withdrawn, one.branch.force_rmse_mev_per_angstrom, one.branch.name

    return [
        Ranked(entry[0].branch.name, knows(entry), entry[1], _basis(entry[0], bool(entry[1])))
        for entry in by_nearness(found, knows, error)
    ]


def reasons_of(one: Candidate, asked: Asked) -> tuple[Reason, ...]:
    """Why what is asked for is out of the branch's domain, as far as its public data tell."""
    name, known = one.branch.name, set(one.branch.elements)
    reasons = []
    missing = tuple(symbol for symbol in asked.elements if symbol not in known)
    if missing:
        sentence = f"Branch {name} has never seen {', '.join(missing)}."
        reasons.append(Reason(ReasonKind.UNKNOWN_ELEMENT, sentence, missing))
    apart = in_order(pair for pair in asked.pairs - one.facts.pairs if set(pair.split("-")) <= known)
    if apart and one.facts.pairs:
        sentence = f"Branch {name} has never seen together in a frame: {', '.join(apart)}."
        reasons.append(Reason(ReasonKind.UNKNOWN_PAIR, sentence, apart))
    reasons += _of_distances(one, asked)
    reasons += _of_density(one, asked)
    return tuple(reasons)


def _of_distances(one: Candidate, asked: Asked) -> list[Reason]:
    if asked.crowded:
        sentence = f"Atoms overlap: the cell has {asked.density:.3g} atoms/Å³, or is thinner than a bond."
        return [Reason(ReasonKind.OVERLAPPING_ATOMS, sentence, (), asked.density or 0.0, CROWDED)]
    closest = asked.closest
    if closest is None or asked.numbers is None:
        return []
    atoms = tuple(f"{SYMBOLS[asked.numbers[place] - 1]} {place}" for place in (closest.first, closest.second))
    touching = closest.distance / closest.ratio if closest.ratio else 0.0
    where = f"Atoms {atoms[0]} and {atoms[1]} are {closest.distance:.3g} Å apart"
    if closest.ratio < OVERLAP:
        sentence = f"{where}: they overlap. Check the unit of lengths and the cell."
        return [Reason(ReasonKind.OVERLAPPING_ATOMS, sentence, atoms, closest.distance, OVERLAP * touching)]
    if one.facts.ratio is None or closest.ratio >= SHORTER * one.facts.ratio:
        return []
    limit = one.facts.ratio * touching
    sentence = (
        f"{where}; of the {one.facts.frames} frames shown of branch {one.branch.name} none has less than {limit:.3g} Å."
    )
    return [Reason(ReasonKind.SHORT_DISTANCE, sentence, atoms, closest.distance, limit)]


def _of_density(one: Candidate, asked: Asked) -> list[Reason]:
    if asked.density is None or asked.crowded or one.facts.density is None:
        return []
    least, most = one.facts.density
    if THINNER * least <= asked.density <= DENSER * most:
        return []
    limit = most if asked.density > most else least
    sentence = (
        f"The cell has {asked.density:.3g} atoms/Å³; the {one.facts.frames} frames shown of branch {one.branch.name} "
        f"have {least:.3g} to {most:.3g}."
    )
    return [Reason(ReasonKind.DENSITY, sentence, (), asked.density, limit)]


def _basis(one: Candidate, out: bool) -> str:
    count = one.branch.held_out_frames
    measured = f"RMSE on {f'{count} ' if count else ''}held-out frames of the branch"
    again = " Its dataset was withdrawn since." if one.withdrawn else ""
    if out:
        return f"{measured}. What is asked for is not like them: the error is likely larger.{again}"
    return f"{measured}, which are like its training frames.{again}"


def _number(symbol: str, field: str) -> int:
    number = ATOMIC_NUMBERS.get(symbol)
    if number is None:
        raise InvalidField(field, f"{field}: {symbol[:20]!r} is no element; symbols are written like 'Si'")
    return number


def _known(number: int, field: str) -> int:
    if not 1 <= number <= len(SYMBOLS):
        raise InvalidField(field, f"{field}: {number} is no atomic number; they go from 1 to {len(SYMBOLS)}")
    return number
