"""ORCA and Psi4: molecules in outputs of single points, relaxations and dynamics.

dpdata joins the last positions with the last gradient and the last energy, wherever they come from: a relaxation
ends with an energy without gradient, so that they do not belong together. Here each gradient makes a frame with the
positions and the energy before it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import SELF_CONSISTENT, Raw, Unfit
from ingest.confined.parsers.tables import number, numbers, skip, until_blank, whole
from ingest.confined.parsers.units import BOHR, HARTREE, HARTREE_PER_BOHR

_OTHER_ENERGY = "Leave it out, or export it as extended XYZ with the energy that belongs to the gradient."
# Banners of Psi4's modules beyond self-consistent fields: their gradients are of another energy.
_BEYOND_SCF = re.compile(r"^[\s*]+(DF-?MP2|DFOCC|OCC|FNOCC|CCENERGY|CCTRANSORT|DETCI|ADC)\b")


@dataclass
class _Step:
    """What the output has said so far of the coming frame."""

    symbols: list[str]
    coords: FloatArray | None = None
    energy: float | None = None
    converged: bool | None = None
    complete: bool = False

    def at(self, symbols: list[str], coords: FloatArray) -> None:
        """Positions; an energy of others is none for these, but the same may be printed twice."""
        if self.coords is None or symbols != self.symbols or not np.array_equal(coords, self.coords):
            self.symbols, self.coords = symbols, coords
            self.energy = self.converged = None
            self.complete = False

    def frame(self, gradient: FloatArray) -> Raw | Unfit | None:
        """The frame that this gradient (Hartree/bohr) completes; None when it is a repetition."""
        if self.complete:
            return None
        self.complete = True
        energy, converged = self.energy, self.converged
        if converged is False:
            return Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)
        if self.coords is None:
            return Unfit("incomplete", "there is a gradient but no positions before it", "Print the positions.")
        return Raw(
            symbols=self.symbols,
            coords=self.coords,
            cell=None,
            energy=None if energy is None else energy * HARTREE,
            forces=gradient * -HARTREE_PER_BOHR,
            virial=None,
            converged=converged,
        )


def orca(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of an ORCA output with gradients. Raises Unfit."""
    yield from _read(files[0], _orca)


def psi4(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of a Psi4 output with gradients. Raises Unfit."""
    yield from _read(files[0], _psi4)


def _read(path: Path, take: Callable[[str, Iterator[str], _Step], FloatArray | None]) -> Iterator[Raw | Unfit]:
    step = _Step([])
    found = False
    with path.open(encoding="latin-1") as file:
        lines = whole(file)
        for line in lines:
            gradient = take(line, lines, step)
            frame = None if gradient is None else step.frame(gradient)
            if frame is not None:
                found = True
                yield frame
    if not found and step.converged is False:
        raise Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)


def _orca(line: str, lines: Iterator[str], step: _Step) -> FloatArray | None:
    """Takes in one line and what belongs to it; a gradient, where one ends."""
    if line.startswith("CARTESIAN COORDINATES (ANGSTROEM)"):
        skip(lines, 1)
        rows = until_blank(lines)
        step.at([row[0].capitalize() for row in rows], numbers(rows, 1, "positions"))
    elif line.startswith("FINAL SINGLE POINT ENERGY"):
        step.energy = number(line.split()[-1], "FINAL SINGLE POINT ENERGY")
        if "not fully converged" in line:
            step.converged = False
    elif "SCF CONVERGED AFTER" in line:
        step.converged = True
    elif "SCF NOT CONVERGED" in line:
        step.converged = False
    elif line.startswith("CARTESIAN GRADIENT"):
        skip(lines, 2)
        # '1   C   :   x   y   z'
        return numbers(until_blank(lines), 3, "the gradient")
    return None


def _psi4(line: str, lines: Iterator[str], step: _Step) -> FloatArray | None:
    if line.startswith("    Geometry (in "):
        length = {"angstrom": 1.0, "bohr": BOHR}.get(line.split()[2].rstrip("),").lower())
        if length is None:
            raise Unfit("unreadable", f"positions in an unknown unit: {line.strip()[:60]!r}", "Print them in Angstrom.")
        for head in lines:
            if head.split()[:1] == ["Center"]:
                break
        skip(lines, 1)
        rows = until_blank(lines)
        step.at([row[0].capitalize() for row in rows], numbers(rows, 1, "positions") * length)
    elif line.startswith("    Total Energy ="):
        step.energy = number(line.split()[-1], "Total Energy")
    elif "Energy and wave function converged" in line or "Energy converged." in line:
        step.converged = True
    elif "Could not converge SCF iterations" in line:
        step.converged = False
    elif _BEYOND_SCF.match(line):
        reason = f"the gradient is not that of the SCF energy ({line.strip()[:40]})"
        raise Unfit("unreadable", reason, _OTHER_ENERGY)
    elif line.startswith("  ## Total Gradient"):
        skip(lines, 4)
        return numbers(until_blank(lines), 1, "the gradient")
    elif line.startswith("  -Total Gradient"):
        skip(lines, 2)
        return numbers(until_blank(lines), 1, "the gradient")
    return None
