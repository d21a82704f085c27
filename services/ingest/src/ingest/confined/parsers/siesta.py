"""SIESTA: outputs of single points, relaxations and dynamics, step by step.

SIESTA's stress has the sign of dE/dε / V (its pressure is minus a third of the trace), so that the virial of deepmd
is −V × stress; dpdata takes + and both of its readers stumble over files that print a table twice or in other units.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from frames.frame import SYMBOLS, FloatArray

from ingest.confined.judging import SELF_CONSISTENT, Raw, Unfit
from ingest.confined.parsers.lattice import volume
from ingest.confined.parsers.tables import number, numbers, take, whole
from ingest.confined.parsers.units import BOHR

_SPECIES = re.compile(
    r"Species number:\s*(\d+).*?Atomic number:\s*(-?\d+)|Atomic number:\s*(-?\d+).*?Species number:\s*(\d+)"
)
_ATOMS = re.compile(r"Number of atoms, orbitals, and projectors:\s*(\d+)|^\s*NumberOfAtoms\s+(\d+)", re.IGNORECASE)
_UNIT = re.compile(r"\(([A-Za-z]+)\)")
_LENGTHS = {"Ang": 1.0, "Bohr": BOHR}
_PRINT = "Set WriteCoorStep true and WriteForces true, so that each step prints its positions (Ang) and forces."


@dataclass
class _Step:
    """What the output has said of the present structure."""

    natoms: int = 0
    elements: dict[int, int] = field(default_factory=dict)
    species: list[int] = field(default_factory=list)
    coords: FloatArray | None = None
    cell: FloatArray | None = None
    energy: float | None = None
    energies: int = 0
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    converged: bool | None = None

    def frame(self) -> Raw | Unfit | None:
        """The frame of this structure; None while nothing has been computed for it."""
        if self.converged is False:
            return Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)
        if self.energy is None and self.forces is None:
            return None
        if self.energies > 1:
            reason = f"{self.energies} energies for one set of positions: the steps between are not printed"
            return Unfit("incomplete", reason, _PRINT)
        if self.coords is None or self.cell is None:
            what = "positions" if self.coords is None else "cell"
            return Unfit("incomplete", f"the output does not print the {what} of this step", _PRINT)
        virial = None if self.stress is None else self.stress * -volume(self.cell)
        try:
            symbols = [_symbol(self.elements[kind]) for kind in self.species]
        except KeyError as error:
            return Unfit("unknown-element", f"the output does not say what species {error} is", _PRINT)
        return Raw(symbols, self.coords, self.cell, self.energy, self.forces, virial, self.converged)

    def moved(self, species: list[int], coords: FloatArray) -> None:
        """Another structure begins; its cell is the last one until another is printed."""
        self.species, self.coords = species, coords
        self.energy = self.forces = self.stress = self.converged = None
        self.energies = 0


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames in order. Raises Unfit."""
    step = _Step()
    with files[0].open(encoding="latin-1") as file:
        lines = whole(file)
        for line in lines:
            if line.startswith("outcoor: Atomic coordinates"):
                if (done := step.frame()) is not None:
                    yield done
                rows = take(lines, step.natoms, "the positions")
                step.moved([int(number(row[3], "species")) for row in rows], _places(line, rows, step.cell))
            else:
                _take(line, lines, step)
    if (done := step.frame()) is not None:
        yield done


def _take(line: str, lines: Iterator[str], step: _Step) -> None:
    """Takes in one line and the table that it announces. Raises Unfit."""
    if line.startswith("outcell: Unit cell vectors"):
        step.cell = numbers(take(lines, 3, "the cell"), 0, "cell") * _length(line)
    elif line.startswith("siesta: Atomic coordinates") and step.natoms and step.coords is None:
        rows = [row[1:] for row in take(lines, step.natoms, "the positions")]
        step.moved([int(number(row[3], "species")) for row in rows], _places(line, rows, step.cell))
    elif line.startswith("siesta: E_KS(eV)"):
        step.energy = number(line.split()[-1], "E_KS")
        step.energies += 1
    elif line.startswith("siesta: Atomic forces (eV/Ang)"):
        rows = [_bare(row) for row in take(lines, step.natoms, "the forces")]
        step.forces = numbers(rows, 1, "forces")
    elif line.startswith("siesta: Stress tensor (static) (eV/Ang**3)"):
        step.stress = numbers([_bare(row) for row in take(lines, 3, "the stress")], 0, "stress")
    elif "SCF_NOT_CONV" in line or "SCF did not converge" in line:
        step.converged = False
    elif "SCF cycle converged" in line or "SCF Convergence by" in line:
        step.converged = True
    elif "umber" in line:
        _head(line, step)


def _head(line: str, step: _Step) -> None:
    if species := _SPECIES.search(line):
        kind, element = (species[1], species[2]) if species[1] else (species[4], species[3])
        step.elements[int(kind)] = int(element)
    elif not step.natoms and (atoms := _ATOMS.search(line)):
        step.natoms = int(atoms[1] or atoms[2])


def _bare(row: list[str]) -> list[str]:
    """Rows of the last block begin with 'siesta:'."""
    return row[1:] if row[:1] == ["siesta:"] else row


def _length(line: str) -> float:
    unit = _UNIT.search(line)
    length = _LENGTHS.get(unit[1]) if unit else None
    if length is None:
        raise Unfit("unreadable", f"lengths in an unknown unit: {line.strip()[:60]!r}", _PRINT)
    return length


def _places(line: str, rows: list[list[str]], cell: FloatArray | None) -> FloatArray:
    places = numbers(rows, 0, "positions")
    if "(fractional)" in line and cell is not None:
        return places @ cell
    return places * _length(line)


def _symbol(element: int) -> str:
    """Ghost atoms have negative numbers: they are basis functions, not atoms."""
    return SYMBOLS[element - 1] if 0 < element <= len(SYMBOLS) else f"element {element}"
