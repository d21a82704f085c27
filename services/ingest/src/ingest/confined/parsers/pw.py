"""pw.x: the frames of one run, from its input and its output.

dpdata joins the input's structure with the first forces and the last energy of the output: right for a single point,
wrong for relaxations and molecular dynamics. Here every ionic step is a frame of its own. A single point is read at
about a quarter of dpdata's cost, with the same numbers.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Raw, Unfit
from ingest.confined.parsers import pw_input
from ingest.confined.parsers.lattice import volume
from ingest.confined.parsers.pw_input import PwInput
from ingest.confined.parsers.units import BOHR, KBAR, RYDBERG

_FIRST_CHUNK, _LARGEST_CHUNK = 1 << 15, 1 << 22
_LARGEST_STEP = 1 << 26
# Each ionic step begins with this line; what stands before the first is the header.
_STEP = "     Self-consistent Calculation"
_FORCES = "Forces acting on atoms"
_STRESS = "total   stress"
_STRESS_ROWS = _AXES_BYTES = 1024
_NOT_CONVERGED = "convergence NOT achieved"
_NEW_CELL = re.compile(r"CELL_PARAMETERS *[({] *(\w+)(?: *= *([\d.]+))? *[)}]((?:\s*\n?(?: +\S+){3}){3})")
_NEW_POSITIONS = re.compile(r"ATOMIC_POSITIONS *[({] *(\w+) *[)}]")
# The header prints axes with 6 decimals and sites with 7, in units of alat; symmetry may move atoms a little.
_PRINTED = 1e-4
_UNCONVERGED = "Leave it out, or repeat it until the self-consistency converges."
_COMPLETE = "Let the calculation finish, or leave it out."
_OTHER_INPUT = "Put the input that this output was computed with next to it, under a similar name."


def frames(files: Sequence[str | Path]) -> Iterator[Raw | Unfit]:
    """Frames of (input, output), in order. Raises Unfit."""
    if len(files) < 2:
        remedy = "Add the input (e.g. scf.in next to scf.out): cell and elements are read from it."
        raise Unfit("no-input-file", "the pw.x input that belongs to this output is not in the archive", remedy)
    given, coords = pw_input.with_coords("".join(_chunks(files[0])))
    yield from _Run(given, coords).frames(_chunks(files[1]))


class _Run:
    """Where the run stands: the structure of the coming step."""

    def __init__(self, given: PwInput, coords: FloatArray) -> None:
        self._given = given
        self._symbols = given.symbols
        self._cell, self._coords = given.cell, coords

    def frames(self, output: Iterator[str]) -> Iterator[Raw | Unfit]:
        steps = _steps(output)
        self._compare(next(steps, ""))
        for text in steps:
            frame = self._frame(text)
            if frame is not None:
                yield frame
            self._move(text)

    def _frame(self, text: str) -> Raw | Unfit | None:
        """The frame of this step; a self-consistency without forces (hybrid functionals have several) is none."""
        at = text.find(_FORCES)
        unconverged = _NOT_CONVERGED in text
        if at < 0 and not unconverged:
            return None
        if unconverged:
            return Unfit("unconverged", "the self-consistency did not converge", _UNCONVERGED)
        energy = _energy(text, at)
        if energy is None:
            return Unfit("no-energy", "the output has forces but no total energy before them", _UNCONVERGED)
        try:
            numbers = _forces(text, at, len(self._symbols))
        except ValueError as error:
            return Unfit(
                "not-a-number", f"forces cannot be read as numbers: {error}", "Check this place in the output."
            )
        if len(numbers) != 3 * len(self._symbols):
            return Unfit("truncated", "the output breaks off within the forces", _COMPLETE)
        forces = np.array(numbers).reshape(-1, 3) * (RYDBERG / BOHR)
        virial = _stress(text, at)
        return Raw(
            symbols=self._symbols,
            coords=self._coords,
            cell=self._cell,
            energy=RYDBERG * energy,
            forces=forces,
            virial=None if virial is None else virial * KBAR * volume(self._cell),
            converged=True if "convergence has been achieved" in text else None,
            turn=True,
        )

    def _compare(self, header: str) -> None:
        """Raises Unfit when the output's own structure is not the input's."""
        printed = _printed_structure(header)
        if printed is None:
            return
        alat, labels, places = printed
        reason = None
        if len(labels) != len(self._symbols):
            reason = f"{len(self._symbols)} atoms in the input, {len(labels)} in the output"
        # An output's labels may be cut to three characters.
        elif labels != self._symbols and _short(labels) != _short(self._symbols):
            reason = "the elements of input and output differ"
        elif not _close(places, np.concatenate([self._cell, self._coords]) / alat):
            alike = _close(places[:3], self._cell / alat)
            reason = f"the {'positions' if alike else 'cells'} of input and output differ"
        if reason is not None:
            raise Unfit("wrong-input-file", f"the input next to it belongs to another run: {reason}", _OTHER_INPUT)

    def _move(self, text: str) -> None:
        """The structure that the next step is computed for."""
        at = text.find("\nATOMIC_POSITIONS")
        positions = _NEW_POSITIONS.match(text, at + 1) if at >= 0 else None
        if positions is None:
            return
        at = text.find("\nCELL_PARAMETERS")
        cell = _NEW_CELL.match(text, at + 1) if at >= 0 else None
        if cell is not None:
            unit = float(cell[2]) * BOHR if cell[2] else {"angstrom": 1.0, "bohr": BOHR}.get(cell[1].lower())
            if unit is None:
                raise Unfit("unreadable", f"CELL_PARAMETERS ({cell[1]}) in the output", _OTHER_INPUT)
            self._cell = np.array(cell[3].split(), dtype=np.float64).reshape(3, 3) * unit
        rows = text[positions.end() :].split("\n", len(self._symbols) + 1)[1:-1]
        try:
            values = np.array([row.split()[1:4] for row in rows], dtype=np.float64).reshape(-1, 3)
        except ValueError:
            values = np.empty((0, 3))
        if len(values) != len(self._symbols):
            raise Unfit("truncated", "the output breaks off within ATOMIC_POSITIONS", _COMPLETE)
        self._coords = self._given.cartesian(values, positions[1].lower(), self._cell)


def _chunks(path: str | Path) -> Iterator[str]:
    """A file, in pieces that grow. Numbers and labels are ASCII; whatever else there is must not stop the reading."""
    # Without a file object, which takes as long as reading a small file.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size, chunk = _FIRST_CHUNK, os.read(descriptor, _FIRST_CHUNK)
        yield chunk.decode("latin-1")
        # A file gives less than it is asked for at its end alone.
        while len(chunk) == size:
            size = min(2 * size, _LARGEST_CHUNK)
            chunk = os.read(descriptor, size)
            yield chunk.decode("latin-1")
    finally:
        os.close(descriptor)


def _steps(output: Iterator[str]) -> Iterator[str]:
    """The header, then the text of each ionic step; holds one of them at a time. Raises Unfit."""
    text = ""
    for chunk in output:
        *whole, text = (text + chunk).split(_STEP)
        yield from whole
        if len(text) > _LARGEST_STEP:
            raise Unfit("unreadable", f"one ionic step takes more than {_LARGEST_STEP >> 20} MiB", "Print less.")
    yield text


def _short(labels: list[str]) -> list[str]:
    return [label[:3].lower() for label in labels]


def _printed_structure(header: str) -> tuple[float, list[str], FloatArray] | None:
    """alat (Å), labels, and axes and sites in alat, [3 + n, 3], as the output repeats them; None where it does not."""
    alat, axes = header.find("celldm(1)="), header.find("crystal axes:")
    sites = header.find("positions (alat units)", axes)
    if min(alat, axes, sites) < 0:
        return None
    table = header[header.find("\n", sites) : header.find("\n\n", sites)]
    try:
        length = float(header[alat + 10 : alat + 40].split(None, 1)[0]) * BOHR
        if (found := _sites(table)) is not None:
            labels, places = found
        else:
            rows = table.split("\n")[1:]
            labels, places = [row.split(None, 2)[1] for row in rows], _bracketed(rows)
        return length, labels, np.array([*_axes(header[axes : axes + _AXES_BYTES]), *places]).reshape(-1, 3)
    except (ValueError, IndexError):
        return None


@lru_cache(maxsize=8)
def _axes(text: str) -> tuple[float, ...]:
    """The three crystal axes, in alat; outputs of one campaign often have the same. Raises ValueError."""
    return tuple(_bracketed(text.split("\n", 4)[1:4]))


def _sites(table: str) -> tuple[list[str], list[float]] | None:
    """Labels and numbers of rows such as '1  Si  tau(   1) = (   0.1  0.2  0.3  )'; None where one is otherwise."""
    words = table.replace("(", " ").replace(")", " ").split()
    count, odd = divmod(len(words), 8)
    if odd or words[2::8] != ["tau"] * count or words[4::8] != ["="] * count:
        return None
    return words[1::8], _columns(words, 5, 8)


def _columns(words: list[str], first: int, every: int) -> list[float]:
    """The three words from `first` on of each row of so many. Raises ValueError."""
    numbers = [0.0] * (3 * (len(words) // every))
    for place in range(3):
        numbers[place::3] = map(float, words[first + place :: every])
    return numbers


def _bracketed(rows: list[str]) -> list[float]:
    """The numbers of rows such as 'a(1) = (  1.0  0.0  0.0 )'. Raises ValueError."""
    brackets = [row[row.rfind("(") + 1 : row.rfind(")")] for row in rows]
    return [float(number) for number in " ".join(brackets).split()]


def _close(one: FloatArray, other: FloatArray) -> bool:
    return one.shape == other.shape and float(np.abs(one - other).max()) < _PRINTED


def _energy(text: str, before: int) -> float | None:
    """Ry; the last that pw.x marks as converged with '!', and hybrid functionals with '!!'."""
    start = text.rfind("\n!", 0, before)
    line = text[start : text.find("\n", start + 1)] if start >= 0 else ""
    try:
        return float(line.split("total energy", 1)[1].split()[1])
    except (ValueError, IndexError):
        return None


def _forces(text: str, at: int, natoms: int) -> list[float]:
    """Three numbers an atom, Ry/bohr, as far as there are. Raises ValueError."""
    start = max(at, text.find("atom", text.find("\n", at)))
    # What stands after the last line end may be half a row.
    rows = text[start:].split("\n", natoms)[:-1][:natoms]
    # 'atom    1 type  1   force =    -0.03    0.09   -0.06'
    words = " ".join(rows).split()
    if len(words) == 9 * natoms and words[5::9] == ["="] * natoms:
        return _columns(words, 6, 9)
    # Numbers may touch, and interrupted writing may run into the next record.
    return [float(number) for row in rows for number in row.split("=", 1)[-1].split()[:3]]


def _stress(text: str, at: int) -> FloatArray | None:
    """kbar [3, 3], positive where compressed; None when it was not computed, or is cut."""
    start = text.find(_STRESS, at)
    if start < 0:
        return None
    rows = text[start : start + _STRESS_ROWS].split("\n", 4)[1:-1][:3]
    try:
        return np.array([float(number) for row in rows for number in row.split()[3:6]]).reshape(3, 3)
    except ValueError:
        return None
