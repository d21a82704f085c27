"""CP2K's single points, from version 6 to those whose layout the plugin cp2kdata does not know (2024.2 and later).

The plugin also takes the cell as periodic whatever PERIODIC says, and the names of kinds for elements.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Raw, Unfit
from ingest.confined.parsers.tables import whole
from ingest.confined.parsers.units import BOHR, GPA, HARTREE, HARTREE_PER_BOHR, KBAR
from ingest.confined.periodicity import settled

_UNITS = {
    "a.u.": HARTREE, "hartree": HARTREE, "ev": 1.0,
    "hartree/bohr": HARTREE_PER_BOHR, "ev/angstrom": 1.0,
    "pa": 1e-9 * GPA, "bar": 1e-3 * KBAR, "kbar": KBAR, "gpa": GPA,
}  # fmt: skip
# Up to 2024.1 the unit of forces is told in general.
_FORCE_UNITS = {"a.u.": "hartree/bohr"}
CELL = re.compile(r" CELL\| Vector [abc] \[angstrom\]:\s+(\S+)\s+(\S+)\s+(\S+)")
PERIODIC = re.compile(r" CELL\| Periodicity\s+(\w+)")
COORDINATES = re.compile(r"(?i) MODULE QUICKSTEP:\s+ATOMIC COORDINATES IN (angstrom|bohr)")
_ATOM = re.compile(r"\s*\d+\s+\d+\s+([A-Z][A-Za-z]?)\s+\d+\s+(-?\d+\.\d+)\s+(-?\d+\.\d+)\s+(-?\d+\.\d+)\s")
ENERGY = re.compile(r" ENERGY\| Total FORCE_EVAL .*energy [\[(]([^\])]+)[\])]:?\s+(-?\d+\.\d+)")
FORCES = re.compile(r" (?:FORCES\| Atomic forces|ATOMIC FORCES in) \[([^\]]+)\]")
FORCE = re.compile(r"(?: FORCES\|)?\s+\d+\s+(?:\d+\s+[A-Z][A-Za-z]?\s+)?(-?\d\S*)\s+(-?\d\S*)\s+(-?\d\S*)")
STRESS = re.compile(r" (?:STRESS\| (?:Analytical|Numerical) stress tensor|STRESS TENSOR) \[([^\]]+)\]")
STRESS_ROW = re.compile(r"(?: STRESS\|)?\s+([xyzXYZ])\s+(-?\d\S*)\s+(-?\d\S*)\s+(-?\d\S*)\s*$")
PRINT = "Print forces and coordinates: &FORCE_EVAL / &PRINT / &FORCES ON, and GLOBAL / PRINT_LEVEL MEDIUM."


def single_point(files: Sequence[Path]) -> Iterator[Raw]:
    """The last energy with the forces and the stress that follow it. Raises Unfit."""
    cell: list[list[float]] = []
    periodic = "XYZ"
    symbols: list[str] = []
    coords = forces = stress = energy = converged = None
    with files[0].open(encoding="utf-8", errors="replace") as file:
        lines = whole(file)
        for line in lines:
            if (match := CELL.match(line)) and len(cell) < 3:
                cell.append([float(word) for word in match.groups()])
            elif match := PERIODIC.match(line):
                periodic = match[1].upper()
            elif (match := COORDINATES.match(line)) and coords is None:
                symbols, coords = atoms(lines, BOHR if match[1].lower() == "bohr" else 1.0)
            elif "SCF run converged in" in line:
                converged = True
            elif "SCF run NOT converged" in line:
                converged = False
            elif match := ENERGY.match(line):
                energy = float(match[2]) * unit(match[1])
            elif match := FORCES.match(line):
                forces = table(lines, FORCE, len(symbols)) * force_unit(match[1])
            elif match := STRESS.match(line):
                stress = table(lines, STRESS_ROW, 3) * unit(match[1])
    if coords is None:
        raise Unfit("no-positions", "the output holds no atomic coordinates", PRINT)
    box = settled(np.array(cell), [axis in periodic and periodic != "NONE" for axis in "XYZ"], coords) if cell else None
    virial = None if box is None or stress is None else abs(np.linalg.det(box)) * stress
    yield Raw(symbols, coords, box, energy, forces, virial, converged)


def force_unit(printed: str) -> float:
    return unit(_FORCE_UNITS.get(printed, printed))


def unit(printed: str) -> float:
    """In eV and Å. Raises Unfit."""
    factor = _UNITS.get(printed.strip().lower())
    if factor is None:
        remedy = "Leave ENERGY_UNIT, FORCE_UNIT and STRESS_UNIT as CP2K sets them."
        raise Unfit("unknown-unit", f"a label is printed in {printed.strip()[:20]!r}", remedy)
    return factor


def atoms(lines: Iterator[str], scale: float) -> tuple[list[str], FloatArray]:
    """Elements and places, up to the first line after them that is no atom."""
    symbols: list[str] = []
    places: list[list[float]] = []
    for line in lines:
        if match := _ATOM.match(line):
            symbols.append(match[1].capitalize())
            places.append([float(word) * scale for word in match.groups()[1:]])
        elif symbols:
            break
    return symbols, np.array(places).reshape(-1, 3)


def table(lines: Iterator[str], row: re.Pattern[str], count: int) -> FloatArray:
    """`count` rows of three numbers, after at most four lines of title."""
    found: list[list[float]] = []
    for _, line in zip(range(count + 4), lines, strict=False):
        if match := row.match(line):
            found.append([float(word) for word in match.groups()[-3:]])
        if len(found) == count:
            break
    if len(found) < count:
        raise Unfit("truncated", f"a table ends after {len(found)} of {count} rows", "Let the calculation finish.")
    return np.array(found).reshape(-1, 3)
