"""From raw labels to a Frame, or the reason why not: what every reader's output passes through."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from frames.frame import ATOMIC_NUMBERS, FloatArray, Frame, IntArray
from numpy.typing import NDArray

from ingest.confined.parsers.lattice import determinants, lower_triangular, rotated, upright

Flags = NDArray[np.bool_]

_ELEMENT = re.compile(r"([A-Z][a-z]?)(?![a-z])")
# More than any training batch on one device holds; the service's own memory is bounded by it, too.
MOST_ATOMS = 100_000
_SMALLEST_CELL = 1e-3  # Å³
# Å. Hashing takes cells on a grid of 1e-4 Å, where a thinner one has no volume.
_THINNEST_CELL, _LONGEST_CELL = 1e-3, 1e6
SELF_CONSISTENT = "Leave it out, or repeat it until the self-consistency converges."


class Unfit(Exception):
    """A frame or file that does not join the dataset: a stable rule, what is wrong, what to do."""

    def __init__(self, rule: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.rule, self.reason, self.remedy = rule, reason, remedy


def no_atoms() -> Unfit:
    return Unfit("no-atoms", "there are no atoms", "Check that the calculation is complete.")


def too_many_atoms(natoms: int) -> Unfit:
    reason = f"{natoms:,} atoms in one frame; at most {MOST_ATOMS:,} are read"
    return Unfit("too-many-atoms", reason, "Cut smaller cells out of it and label those.")


@dataclass(frozen=True, slots=True)
class Raw:
    """One frame as a reader gives it; energies in eV, lengths in Å.

    turn  into axes where its cell is lower triangular, as dpdata turns what this program writes
    """

    symbols: list[str]
    coords: Any
    cell: Any
    energy: Any
    forces: Any
    virial: Any
    converged: bool | None = None
    turn: bool = False


def atomic_numbers(symbols: list[str]) -> IntArray:
    """Elements by symbol; kinds such as 'Fe1', 'O_d' or 'H-ghost' count as their element. Raises Unfit."""
    return np.array([_number(symbol) for symbol in symbols], dtype=np.int64)


def _number(symbol: str) -> int:
    number = ATOMIC_NUMBERS.get(symbol)
    if number is not None:
        return number
    match = _ELEMENT.match(symbol[:1].upper() + symbol[1:])
    number = ATOMIC_NUMBERS.get(match[1]) if match else None
    if number is None and match:
        number = ATOMIC_NUMBERS.get(match[1][:1])
    if number is None:
        remedy = "Name the elements in the file (for deepmd data, in type_map.raw), or choose a format that does."
        raise Unfit("unknown-element", f"{symbol!r} is no element", remedy)
    return number


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame before it is judged. `numbers`: of `raw.symbols`; `index`: its place in its file."""

    raw: Raw
    numbers: IntArray
    index: int


def frame(raw: Raw, numbers: IntArray, index: int) -> Frame:
    """Checks labels, shapes and finiteness. Raises Unfit."""
    (judged,) = frames([Candidate(raw, numbers, index)])
    if isinstance(judged, Unfit):
        raise judged
    return judged


def frames(candidates: Sequence[Candidate]) -> list[Frame | Unfit]:
    """Each as `frame` judges it; those of one size are judged together, at a fraction of the cost."""
    judged: dict[int, Frame | Unfit] = {}
    alike: dict[tuple[int, bool, bool, bool], list[int]] = {}
    for place, one in enumerate(candidates):
        if (unfit := _lacking(one)) is not None:
            judged[place] = unfit
        else:
            raw = one.raw
            alike.setdefault((len(one.numbers), raw.cell is None, raw.virial is None, raw.turn), []).append(place)
    for places in alike.values():
        judged.update(zip(places, _alike([candidates[place] for place in places]), strict=True))
    return [judged[place] for place in range(len(candidates))]


def _lacking(one: Candidate) -> Unfit | None:
    """What can be said without a look at the numbers."""
    natoms, raw = len(one.numbers), one.raw
    if natoms == 0:
        return no_atoms()
    if natoms > MOST_ATOMS:
        return too_many_atoms(natoms)
    if raw.energy is None:
        return Unfit("no-energy", "there is no energy", "Export the energy (eV) with each frame.")
    if raw.forces is None:
        remedy = "Compute forces (e.g. tprnfor in Quantum ESPRESSO, FORCES in CP2K) and export them."
        return Unfit("no-forces", "there are no forces", remedy)
    if raw.converged is False:
        return Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)
    return None


class _Numbers(NamedTuple):
    """Of k frames: coords and forces [k, n, 3], cells and virials [k, 3, 3], energies [k, 1]."""

    coords: FloatArray
    cells: FloatArray | None
    energies: FloatArray
    forces: FloatArray
    virials: FloatArray | None


def _alike(candidates: list[Candidate]) -> list[Frame | Unfit]:
    """Of one number of atoms, all with or without cells and virials."""
    numbers = _stacked(candidates)
    if numbers is None and len(candidates) > 1:
        return [result for one in candidates for result in _alike([one])]
    good = None if numbers is None else _good(numbers)
    if numbers is None or good is None or not good.all():
        # Which number of which frame, and why.
        results: list[Frame | Unfit] = []
        for one in candidates:
            try:
                checked = _checked(one)
            except Unfit as unfit:
                results.append(unfit)
            else:
                results += _frames([one], checked)
        return results
    return _frames(candidates, numbers)


def _stacked(candidates: list[Candidate]) -> _Numbers | None:
    """None where something is no number, or has another shape than the others."""
    raws, natoms = [one.raw for one in candidates], len(candidates[0].numbers)
    try:
        return _Numbers(
            coords=_together([raw.coords for raw in raws], natoms),
            cells=None if raws[0].cell is None else _together([raw.cell for raw in raws], 3),
            energies=np.array([raw.energy for raw in raws], dtype=np.float64).reshape(len(raws), 1),
            forces=_together([raw.forces for raw in raws], natoms),
            virials=None if raws[0].virial is None else _together([raw.virial for raw in raws], 3),
        )
    except (TypeError, ValueError, OverflowError):
        return None


def _together(values: list[Any], rows: int) -> FloatArray:
    return np.array(values, dtype=np.float64).reshape(len(values), rows, 3)


def _good(numbers: _Numbers) -> Flags:
    """Whose numbers are finite and whose cell has a volume, [k]."""
    good = np.ones(len(numbers.coords), dtype=np.bool_)
    for array in numbers:
        if array is not None:
            good &= np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if numbers.cells is not None:
        good[good] = _with_volume(numbers.cells[good])
    return good


def _with_volume(cells: FloatArray) -> Flags:
    _, long, longest = np.sort(np.sqrt(np.square(cells).sum(axis=2)), axis=1).T
    least = np.maximum(_SMALLEST_CELL, _THINNEST_CELL * long * longest)
    return np.asarray((np.abs(determinants(cells)) >= least) & (longest <= _LONGEST_CELL))


def _checked(one: Candidate) -> _Numbers:
    """Raises Unfit."""
    raw, natoms = one.raw, len(one.numbers)
    coords = _shaped(raw.coords, natoms, "positions")
    cell = None if raw.cell is None else _shaped(raw.cell, 3, "cell")
    if cell is not None and not _with_volume(cell[np.newaxis]).all():
        raise Unfit("bad-cell", "the cell has no volume", "Give three independent lattice vectors in Å.")
    return _Numbers(
        coords=coords[np.newaxis],
        energies=_shaped(raw.energy, None, "energy").reshape(1, 1),
        forces=_shaped(raw.forces, natoms, "forces")[np.newaxis],
        cells=None if cell is None else cell[np.newaxis],
        virials=None if raw.virial is None else _shaped(raw.virial, 3, "virial")[np.newaxis],
    )


def _frames(candidates: list[Candidate], numbers: _Numbers) -> list[Frame | Unfit]:
    coords, cells, energies, forces, virials = numbers
    if cells is not None and candidates[0].raw.turn:
        coords, cells, forces, virials = _turned(coords, cells, forces, virials)
    elif cells is not None and (left := determinants(cells) < 0).any():
        # The same lattice: deepmd finds no neighbours through the faces of a left-handed cell.
        cells = np.where(left[:, np.newaxis, np.newaxis], cells[:, [0, 2, 1]], cells)
    return [
        Frame(
            numbers=one.numbers,
            coords=coords[place],
            cell=None if cells is None else cells[place],
            energy=energy,
            forces=forces[place],
            virial=None if virials is None else virials[place],
            index=one.index,
            converged=one.raw.converged,
        )
        for place, (one, energy) in enumerate(zip(candidates, energies[:, 0].tolist(), strict=True))
    ]


def _turned(
    coords: FloatArray, cells: FloatArray, forces: FloatArray, virials: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
    """In axes where cells are lower triangular; those that are stay as they are."""
    askew = ~upright(cells)
    if not askew.any():
        return coords, cells, forces, virials
    if not askew.all():
        coords, cells, forces = coords.copy(), cells.copy(), forces.copy()
        virials = None if virials is None else virials.copy()
        rest = _turned(coords[askew], cells[askew], forces[askew], None if virials is None else virials[askew])
        coords[askew], cells[askew], forces[askew] = rest[:3]
        if virials is not None:
            virials[askew] = rest[3]
        return coords, cells, forces, virials
    cells, turns = lower_triangular(cells)
    if virials is not None:
        virials = rotated(rotated(virials, turns).swapaxes(1, 2), turns).swapaxes(1, 2)
    return rotated(coords, turns), cells, rotated(forces, turns), virials


def all_finite(array: FloatArray) -> bool:
    # The sum of squares is finite only where all numbers are, and takes a fifth of the time; it may also overflow.
    return isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def _shaped(values: Any, rows: int | None, what: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unfit(
            "not-a-number", f"{what} cannot be read as numbers: {error}", "Check this place in the file."
        ) from error
    size = 1 if rows is None else 3 * rows
    if array.size != size:
        reason = f"{what}: {array.size} numbers where {size} are expected"
        raise Unfit("wrong-shape", reason, "Check that the calculation ran to its end and the file is complete.")
    if not all_finite(array):
        bad = int(size - np.isfinite(array).sum())
        remedy = "Leave this frame out, or repeat the calculation: it did not converge to numbers."
        raise Unfit("not-finite", f"{what}: {bad} of {size} numbers are NaN or infinite", remedy)
    return array if rows is None else array.reshape(rows, 3)
