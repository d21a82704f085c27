"""FHI-aims, streamed: single points, relaxations, molecular dynamics, periodic or not.

dpdata pairs the structures of a relaxation with the forces of the step before, misses the first structure where
geometry.in is fractional, needs a cell, and leaves the stress out. Here a structure is that from which the following
forces were computed: the input geometry, then each that the output announces, as used (dynamics) or updated.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import SELF_CONSISTENT, Raw, Unfit
from ingest.confined.parsers.tables import whole

_COMPLETE = "Let the calculation finish, or leave this step out."
# Once a structure's forces are there, the next self-consistency ends the step.
_BEGINS = "Begin self-consistency loop"
_ENERGY = re.compile(r"\| Total energy uncorrected\s*:\s*(\S+) eV")
_UPDATED = "Updated atomic structure:"
_USED = "as used in the preceding time step:"


@dataclass
class _Step:
    energy: float | None = None
    forces: list[list[float]] = field(default_factory=list)
    stress: list[list[float]] = field(default_factory=list)
    converged: bool | None = None


@dataclass
class _Structure:
    symbols: list[str] = field(default_factory=list)
    coords: list[list[float]] = field(default_factory=list)
    cell: list[list[float]] = field(default_factory=list)


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames in order. Raises Unfit for an output without an input geometry."""
    with files[0].open(encoding="utf-8", errors="replace") as file:
        lines = whole(file)
        first = structure = following = _input_geometry(lines)
        step = _Step()
        for line in lines:
            if _BEGINS in line:
                # The loop is entered again within a step when its charge density is reset.
                if step.energy is not None:
                    yield _frame(structure, step)
                    structure, step = following, _Step()
            elif _UPDATED in line:
                following = _announced(lines, following)
            elif _USED in line:
                structure = _announced(lines, following)
                # Of the next step of dynamics nothing is known until it is announced, after its forces.
                following = replace(structure, coords=[])
            else:
                _note(step, line, lines, len(first.symbols))
        if step.energy is not None or step.forces:
            yield _frame(structure, step)


def _note(step: _Step, line: str, lines: Iterator[str], natoms: int) -> None:
    """What a line says of the labels."""
    if match := _ENERGY.search(line):
        step.energy = float(match[1])
    elif "Self-consistency cycle converged" in line:
        step.converged = True
    elif "elf-consistency cycle did not converge" in line:
        step.converged = False
    elif "Total atomic forces" in line and "[eV/Ang]" in line:
        step.forces = _table(lines, natoms)
    elif "Analytical stress tensor" in line or "Numerical stress tensor" in line:
        step.stress = _stress(lines)


def _input_geometry(lines: Iterator[str]) -> _Structure:
    found = _Structure()
    for line in lines:
        if line.startswith("  | Unit cell:"):
            found.cell = [[float(word) for word in next(lines).split("|")[1].split()[:3]] for _ in range(3)]
        elif match := re.match(r"\s+\|\s+\d+: Species (\w+)((?:\s+\S+){3})", line):
            found.symbols.append(match[1])
            found.coords.append([float(word) for word in match[2].split()])
        elif _BEGINS in line:
            break
    if not found.symbols:
        raise Unfit("truncated", "the output does not come to its input geometry", _COMPLETE)
    return found


def _announced(lines: Iterator[str], before: _Structure) -> _Structure:
    """The lines `atom x y z El`, or atom_frac, and lattice_vector, up to as many atoms as there are."""
    found = _Structure(before.symbols, [], [])
    for line in lines:
        words = line.split()
        if words[:1] == ["lattice_vector"]:
            found.cell.append([float(word) for word in words[1:4]])
        elif words[:1] in (["atom"], ["atom_frac"]):
            place = np.array([float(word) for word in words[1:4]])
            if words[0] == "atom_frac":
                place = place @ np.array(found.cell or before.cell)
            found.coords.append(place.tolist())
        if len(found.coords) == len(before.symbols):
            break
    found.cell = found.cell or before.cell
    return found


def _table(lines: Iterator[str], rows: int) -> list[list[float]]:
    found = []
    for _, line in zip(range(rows), lines, strict=False):
        words = line.replace("|", " ").split()
        if len(words) != 4:
            break
        found.append([float(word) for word in words[1:]])
    return found


def _stress(lines: Iterator[str]) -> list[list[float]]:
    """Three rows that begin with x, y, z, in eV/Å³, within the next few lines."""
    found: list[list[float]] = []
    for _, line in zip(range(12), lines, strict=False):
        words = line.replace("|", " ").split()
        if words[:1] == ["xyz"[len(found)]] and len(words) == 4:
            found.append([float(word) for word in words[1:]])
        if len(found) == 3:
            return found
    return []


def _frame(structure: _Structure, step: _Step) -> Raw | Unfit:
    if not structure.coords:
        return Unfit("truncated", "the output breaks off before the structure of this step", _COMPLETE)
    if len(step.forces) != len(structure.symbols):
        if step.converged is False:
            return Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)
        remedy = "Set compute_forces .true. in control.in, and let the calculation finish."
        return Unfit("no-forces", "there are no forces", remedy)
    cell = np.array(structure.cell) if structure.cell else None
    return Raw(
        symbols=structure.symbols,
        coords=structure.coords,
        cell=cell,
        energy=step.energy,
        forces=step.forces,
        virial=_virial(cell, step.stress),
        converged=step.converged,
    )


def _virial(cell: FloatArray | None, stress: list[list[float]]) -> FloatArray | None:
    """FHI-aims prints the derivative of the energy by strain over the volume: positive where the cell pulls inwards."""
    if cell is None or not stress:
        return None
    return np.asarray(-abs(np.linalg.det(cell)) * np.array(stress), dtype=np.float64)
