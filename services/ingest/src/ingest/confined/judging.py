"""From raw labels to a Frame, or the reason why not: what every reader's output passes through."""

import re
from dataclasses import dataclass
from math import hypot, isfinite
from typing import Any

import numpy as np
from frames.frame import ATOMIC_NUMBERS, FloatArray, Frame, IntArray

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
    """One frame as a reader gives it; energies in eV, lengths in Å."""

    symbols: list[str]
    coords: Any
    cell: Any
    energy: Any
    forces: Any
    virial: Any
    converged: bool | None = None


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


def frame(raw: Raw, numbers: IntArray, index: int) -> Frame:
    """Checks labels, shapes and finiteness. Raises Unfit."""
    natoms = len(numbers)
    if natoms == 0:
        raise no_atoms()
    if natoms > MOST_ATOMS:
        raise too_many_atoms(natoms)
    if raw.energy is None:
        raise Unfit("no-energy", "there is no energy", "Export the energy (eV) with each frame.")
    if raw.forces is None:
        remedy = "Compute forces (e.g. tprnfor in Quantum ESPRESSO, FORCES in CP2K) and export them."
        raise Unfit("no-forces", "there are no forces", remedy)
    if raw.converged is False:
        raise Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)
    coords = _shaped(raw.coords, natoms, "positions")
    cell = None if raw.cell is None else _shaped(raw.cell, 3, "cell")
    if cell is not None and _volume(cell) < 0:
        # The same lattice: deepmd finds no neighbours through the faces of a left-handed cell.
        cell = cell[[0, 2, 1]]
    energy = _shaped(raw.energy, None, "energy")
    return Frame(
        numbers=numbers,
        coords=coords,
        cell=cell,
        energy=float(energy.reshape(-1)[0]),
        forces=_shaped(raw.forces, natoms, "forces"),
        virial=None if raw.virial is None else _shaped(raw.virial, 3, "virial"),
        index=index,
        converged=raw.converged,
    )


def _volume(cell: FloatArray) -> float:
    """Å³, negative where the cell is left-handed. Raises Unfit where it is none."""
    volume = determinant(cell)
    _, long, longest = sorted(hypot(*vector) for vector in cell.tolist())
    if abs(volume) < max(_SMALLEST_CELL, _THINNEST_CELL * long * longest) or longest > _LONGEST_CELL:
        raise Unfit("bad-cell", "the cell has no volume", "Give three independent lattice vectors in Å.")
    return volume


def determinant(cell: FloatArray) -> float:
    """Of a 3 × 3 matrix, at a fifth of the cost of a general one."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell.tolist()
    return float(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))


def all_finite(array: FloatArray) -> bool:
    # The sum of squares is finite only where all numbers are, and takes a fifth of the time; it may also overflow.
    return isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def _shaped(values: Any, rows: int | None, what: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Unfit("not-a-number", f"{what}: {error}", "Check this place in the file.") from error
    size = 1 if rows is None else 3 * rows
    if array.size != size:
        reason = f"{what}: {array.size} numbers where {size} are expected"
        raise Unfit("wrong-shape", reason, "Check that the calculation ran to its end and the file is complete.")
    if not all_finite(array):
        bad = int(size - np.isfinite(array).sum())
        remedy = "Leave this frame out, or repeat the calculation: it did not converge to numbers."
        raise Unfit("not-finite", f"{what}: {bad} of {size} numbers are NaN or infinite", remedy)
    return array if rows is None else array.reshape(rows, 3)
