"""CP2K's molecular dynamics: positions, forces and energies from their files, the rest from the output, in step.

The plugin cp2kdata takes quadratic time over a trajectory, counts steps instead of reading their numbers (files may be
written every so many steps), stops at versions that it does not know, and keeps steps that did not converge.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import MOST_ATOMS, Raw, Unfit, too_many_atoms
from ingest.confined.parsers import cp2k
from ingest.confined.parsers.tables import whole
from ingest.confined.parsers.units import BOHR, HARTREE, HARTREE_PER_BOHR
from ingest.confined.periodicity import settled
from ingest.confined.programs.cp2k import log
from ingest.confined.programs.spec import holds

_TITLE = re.compile(r"i =\s*(\d+).*?E =\s*(-?\d+\.\d+)")
_STEP = re.compile(r"\s*(?:MD\| Step number\s+|STEP NUMBER\s+=\s+)(\d+)")
_LENGTHS = re.compile(r" MD\| Cell lengths \[bohr\]\s+(\S+)\s+(\S+)\s+(\S+)")
_ANGLES = re.compile(r" MD\| Cell angles \[deg\]\s+(\S+)\s+(\S+)\s+(\S+)")
_ENSEMBLE = re.compile(r"(?i) (?:MD_PAR|MD)\| Ensemble type\s+(\w+)")
_FINISH = "Let the calculation finish, or leave the rest out."
_CELL_FILE = "Print the cell with the trajectory: &MOTION / &PRINT / &CELL, and add the file *.cell."


@dataclass
class _Step:
    """What the output says of one step; forces in eV/Å, stress in eV/Å³."""

    number: int | None = None
    converged: bool | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    lengths: FloatArray | None = None
    angles: FloatArray | None = None


@dataclass
class _Header:
    symbols: list[str]
    cell: FloatArray | None
    periodic: list[bool]
    ensemble: str


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of the trajectory in the folder, in order. Raises Unfit for what is not there or does not fit."""
    (folder,) = files
    positions = _only(folder, "*-pos-*.xyz")
    if positions is None:
        raise Unfit("no-positions", "there is no trajectory *-pos-*.xyz", "Add it to the folder of the output.")
    forces, cells, energies = _only(folder, "*-frc-*.xyz"), _only(folder, "*.cell"), _only(folder, "*.ener")
    potential = _columns(energies, slice(4, 5)) if energies else {}
    boxes = _columns(cells, slice(2, 11)) if cells else {}
    output = log(folder)[0]
    with output.open(encoding="utf-8", errors="replace") as file:
        lines = whole(file)
        header = _header(lines)
        if cells is None and header.ensemble.startswith("NPT"):
            _aligned(header)
        said = _Said(_steps(lines, len(header.symbols), forces is None))
        pushed = _Forces(forces) if forces else None
        for number, title_energy, rows in _blocks(positions):
            step = said.of(number)
            wanted = pushed.of(number) if pushed is not None else step.forces
            energy = float(potential[number][0]) if number in potential else title_energy
            try:
                yield _frame(header, rows, wanted, energy * HARTREE, _cell(header, step, boxes.get(number)), step)
            except Unfit as unfit:
                yield unfit
        if said.breaks_off and not holds(str(output), b"PROGRAM ENDED"):
            reason = f"{output.name} breaks off: of later steps neither convergence nor virial is known"
            raise Unfit("truncated", reason, _FINISH)


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        reason = f"there are {len(found)} files {pattern} in one folder, such as {found[0].name} and {found[1].name}"
        raise Unfit("ambiguous", reason, "Give each run a folder of its own.")
    return found[0] if found else None


def _columns(path: Path, columns: slice) -> dict[int, FloatArray]:
    """Columns of a table by the step number in its first."""
    found: dict[int, FloatArray] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in whole(file):
            words = line.split()
            if words and words[0].isdigit() and len(words) >= columns.stop:
                found[int(words[0])] = np.array([float(word) for word in words[columns]])
    return found


def _header(lines: Iterator[str]) -> _Header:
    """Up to the table of atoms: the lattice, the ensemble, the elements. Raises Unfit."""
    cell: list[list[float]] = []
    periodic, ensemble = "XYZ", ""
    for line in lines:
        if (match := cp2k.CELL.match(line)) and len(cell) < 3:
            cell.append([float(word) for word in match.groups()])
        elif match := cp2k.PERIODIC.match(line):
            periodic = match[1].upper()
        elif match := _ENSEMBLE.match(line):
            ensemble = match[1].upper()
        elif cp2k.COORDINATES.match(line):
            symbols, _ = cp2k.atoms(lines, 1.0)
            flags = [axis in periodic and periodic != "NONE" for axis in "XYZ"]
            return _Header(symbols, np.array(cell) if cell else None, flags, ensemble)
    raise Unfit("no-positions", "the output holds no atomic coordinates", cp2k.PRINT)


def _aligned(header: _Header) -> None:
    """Raises Unfit where lengths and angles alone do not tell how the cell lies in space."""
    if header.cell is None or np.abs(header.cell[np.triu_indices(3, 1)]).max() > 1e-6:
        raise Unfit("no-cell", "the cell changes, and the output tells its lengths and angles alone", _CELL_FILE)


def _steps(lines: Iterator[str], natoms: int, with_forces: bool) -> Iterator[_Step]:
    """Steps in order; the one before the first that is numbered is the initial one."""
    named: _Step | None = None
    current: _Step | None = None
    converged: bool | None = None
    for line in lines:
        if "SCF run" in line:
            converged = "NOT converged" not in line
        elif cp2k.ENERGY.match(line):
            if current is not None and named is None:
                named = current
            current, converged = _Step(converged=converged), None
        elif current is not None and with_forces and (match := cp2k.FORCES.match(line)):
            current.forces = cp2k.table(lines, cp2k.FORCE, natoms) * cp2k.force_unit(match[1])
        elif current is not None and (match := cp2k.STRESS.match(line)):
            current.stress = cp2k.table(lines, cp2k.STRESS_ROW, 3) * cp2k.unit(match[1])
        elif current is not None and (match := _STEP.match(line)):
            if named is not None:
                named.number = int(match[1]) - 1 if named.number is None else named.number
                yield named
            named, current = current, None
            named.number = int(match[1])
        elif named is not None and (match := _LENGTHS.match(line)):
            named.lengths = np.array([float(word) for word in match.groups()]) * BOHR
        elif named is not None and (match := _ANGLES.match(line)):
            named.angles = np.array([float(word) for word in match.groups()])
    for last in (named, current):
        if last is not None:
            last.number = 0 if last.number is None and last is named else last.number
            yield last


class _Said:
    """Steps of the output by number, asked for in ascending order.

    breaks_off  it ends within a step, or before one that was asked for
    """

    def __init__(self, steps: Iterator[_Step]) -> None:
        self._steps = steps
        self.breaks_off = False
        self._next = self._following()

    def _following(self) -> _Step | None:
        try:
            return next(self._steps, None)
        except Unfit as unfit:
            if unfit.rule != "truncated":
                raise
            self.breaks_off = True
            return None

    def of(self, number: int) -> _Step:
        """Nothing is known of a step that the output does not number."""
        while self._next is not None and self._next.number is not None and self._next.number < number:
            self._next = self._following()
        if self._next is not None and self._next.number == number:
            return self._next
        self.breaks_off |= self._next is None or self._next.number is None
        return _Step()


def _blocks(path: Path) -> Iterator[tuple[int, float, FloatArray]]:
    """Of an xyz file: step number, energy in the title (hartree), rows of three numbers. Raises Unfit."""
    with path.open(encoding="utf-8", errors="replace") as file:
        count = 0
        while line := file.readline():
            if not line.endswith("\n"):
                raise Unfit("truncated", f"{path.name} breaks off within frame {count}", _FINISH)
            if not line.strip().isdigit():
                reason = f"{path.name}: frame {count} begins with {line.strip()[:20]!r} instead of a number of atoms"
                raise Unfit("unreadable", reason, "Check this place in the file.")
            natoms = int(line)
            if natoms > MOST_ATOMS:
                raise too_many_atoms(natoms)
            yield _block(file, natoms, count, path.name)
            count += 1


def _block(file: IO[str], natoms: int, count: int, name: str) -> tuple[int, float, FloatArray]:
    title = _TITLE.search(file.readline())
    words = [word for row in whole(islice(file, natoms)) for word in row.split()[1:4]]
    if len(words) != 3 * natoms:
        raise Unfit("truncated", f"{name} breaks off within frame {count}", _FINISH)
    try:
        rows = np.array(words, dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise Unfit(
            "not-a-number", f"{name}, frame {count} cannot be read as numbers: {error}", "Check this place in the file."
        ) from None
    return (int(title[1]), float(title[2]), rows) if title else (count, float("nan"), rows)


class _Forces:
    """Forces of steps by number, asked for in ascending order; those of steps without positions are passed over."""

    def __init__(self, path: Path) -> None:
        self._name, self._blocks = path.name, _blocks(path)

    def of(self, number: int) -> FloatArray | None:
        """Nothing where the file skips the step. Raises Unfit where it ends before."""
        for step, _, rows in self._blocks:
            if step >= number:
                return rows * HARTREE_PER_BOHR if step == number else None
        raise Unfit("truncated", f"{self._name} ends before the forces of step {number}", _FINISH)


def _cell(header: _Header, step: _Step, written: FloatArray | None) -> FloatArray | None:
    if written is not None:
        return written.reshape(3, 3)
    if header.ensemble.startswith("NPT") and header.cell is not None and step.lengths is not None:
        return _from_parameters(step.lengths, step.angles if step.angles is not None else _angles(header.cell))
    return header.cell


def _angles(cell: FloatArray) -> FloatArray:
    units = cell / np.linalg.norm(cell, axis=1, keepdims=True)
    return np.degrees(np.arccos([units[1] @ units[2], units[0] @ units[2], units[0] @ units[1]]))


def _from_parameters(lengths: FloatArray, degrees: FloatArray) -> FloatArray:
    """a along x, b in the xy plane."""
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(degrees))
    sin_gamma = float(np.sin(np.radians(degrees[2])))
    c = np.array([cos_beta, (cos_alpha - cos_beta * cos_gamma) / sin_gamma, 0.0])
    c[2] = np.sqrt(1 - c @ c)
    return np.array([[1.0, 0, 0], [cos_gamma, sin_gamma, 0], c]) * lengths[:, None]


def _frame(
    header: _Header, coords: FloatArray, forces: FloatArray | None, energy: float, box: FloatArray | None, step: _Step
) -> Raw:
    cell = settled(box, header.periodic, coords)
    virial = None if cell is None or step.stress is None else abs(np.linalg.det(cell)) * step.stress
    return Raw(header.symbols, coords, cell, energy, forces, virial, step.converged)
