"""Extended XYZ, streamed: dpdata's own reader appends frame by frame, which takes quadratic time.

Keys as ASE, QUIP, MACE, NequIP and GPUMD write them. Stress is taken with ASE's sign (virial = −volume × stress),
virial with deepmd's. Reference: https://github.com/libAtoms/extxyz
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from frames.frame import SYMBOLS, FloatArray

from ingest.confined.judging import MOST_ATOMS, Raw, Unfit, no_atoms, too_many_atoms
from ingest.confined.parsers.tables import may_be_cut
from ingest.confined.periodicity import settled
from ingest.confined.text import encoding

# References first: such files may also hold a model's predictions under the plain names.
ENERGY_KEYS = ("REF_energy", "ref_energy", "dft_energy", "DFT_energy", "energy", "Energy", "energies", "free_energy")
FORCE_KEYS = ("REF_forces", "ref_forces", "dft_forces", "DFT_forces", "dft_force", "forces", "force", "Forces")
VIRIAL_KEYS = ("REF_virial", "REF_virials", "dft_virial", "virial", "virials", "Virial")
STRESS_KEYS = ("REF_stress", "dft_stress", "stress", "stresses", "Stress")
_PAIR = re.compile(r"""([^\s=]+)\s*=\s*("[^"]*"|'[^']*'|\{[^}]*\}|\[\[.*?\]\]|\[[^\]]*\]|\S+)""")
_BARE = str.maketrans("", "", "\"'{}[],")
_DAMAGED = "Check the file around this frame: a line is missing or has another number of columns."
_CUT = "Copy the file again if it was longer; else nothing: the frames before are read."
_NO_LINE_END = "Copy the file again if it was longer; if it is whole, add a line end to it."
_LONGEST_COMMENT = 1 << 20
_FALSE = frozenset({"f", "false", "0"})


def of_file(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """As `frames`; in the encoding that its byte order mark announces, else UTF-8."""
    with files[0].open(encoding=encoding(files[0]), errors="replace") as file:
        yield from frames(file, files[0].name)


def frames(file: IO[str], name: str = "the file") -> Iterator[Raw | Unfit]:
    """Frames in order; one that cannot be understood comes as Unfit. Raises Unfit where the file itself breaks off."""
    count = -1
    while line := file.readline():
        if not line.strip():
            continue
        try:
            natoms = int(line)
            if natoms < 0:
                raise ValueError
        except ValueError:
            reason = f"a number of atoms is expected, not {line.strip()[:60]!r}"
            raise Unfit("unreadable", reason, _DAMAGED) from None
        count += 1
        if natoms > MOST_ATOMS:
            _skip(file, natoms)
            yield too_many_atoms(natoms)
            continue
        comment = file.readline(_LONGEST_COMMENT)
        if natoms == 0:
            yield no_atoms()
            continue
        lines = list(islice(file, natoms))
        rows = [row.split() for row in lines]
        if len(rows) < natoms or (rows and not rows[-1]):
            # Of a run that was ended, or a copy that broke off: the frames before are whole.
            yield Unfit("truncated", f"{name} ends within frame {count}, of {natoms} atoms", _CUT)
            return
        if not lines[-1].endswith("\n") and may_be_cut(rows[-1][-1], _alike(rows)):
            half = f"its last number may be half of one ({rows[-1][-1][:40]!r})"
            yield Unfit("truncated", f"{name} ends within the last line of frame {count}: {half}", _NO_LINE_END)
            return
        try:
            yield _frame(comment, rows)
        except Unfit as unfit:
            yield unfit


def _alike(rows: list[list[str]]) -> list[str]:
    """What the last word of a frame is compared with: the rest of its column, or of a single atom's numbers."""
    return [row[-1] for row in rows[:-1] if row] if len(rows) > 1 else rows[0][1:-1]


def _skip(file: IO[str], natoms: int) -> None:
    """Past a frame without keeping it. Raises Unfit where the file ends first."""
    for _ in range(natoms + 1):
        if not file.readline():
            raise Unfit("truncated", f"the file ends within a frame of {natoms} atoms", _DAMAGED)


def _frame(comment: str, rows: list[list[str]]) -> Raw:
    fields = dict(_PAIR.findall(comment))
    columns = _columns(fields.get("Properties", "species:S:1:pos:R:3"), min(map(len, rows), default=0))
    cell = _numbers(fields["Lattice"], "Lattice").reshape(3, 3) if "Lattice" in fields else None
    coords = _column(columns, rows, ("pos", "positions"))
    flags = [flag not in _FALSE for flag in fields.get("pbc", "").translate(_BARE).lower().split()]
    if coords is not None and len(flags) == 3:
        cell = settled(cell, flags, coords)
    energy = _first(fields, ENERGY_KEYS)
    return Raw(
        symbols=_symbols(columns, rows),
        coords=coords,
        cell=cell,
        energy=None if energy is None else _numbers(energy, "energy"),
        forces=_column(columns, rows, FORCE_KEYS),
        virial=_virial(fields, cell),
    )


def _columns(properties: str, width: int) -> dict[str, tuple[int, int]]:
    parts = properties.translate(_BARE).split(":")
    columns: dict[str, tuple[int, int]] = {}
    start = 0
    try:
        for name, _, count in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            columns[name] = (start, start + int(count))
            start += int(count)
    except ValueError:
        raise Unfit("unreadable", f"Properties={properties[:80]} is not name:type:columns", _DAMAGED) from None
    if width < start:
        raise Unfit("unreadable", f"{width} columns where Properties names {start}", _DAMAGED)
    return columns


def _symbols(columns: dict[str, tuple[int, int]], rows: list[list[str]]) -> list[str]:
    for name in ("species", "element", "symbols"):
        if name in columns:
            return [row[columns[name][0]] for row in rows]
    if "Z" in columns:
        numbers = [int(row[columns["Z"][0]]) for row in rows]
        return [SYMBOLS[number - 1] if 0 < number <= len(SYMBOLS) else str(number) for number in numbers]
    raise Unfit("unknown-element", "Properties names no species", "Add a species column.")


def _column(columns: dict[str, tuple[int, int]], rows: list[list[str]], names: tuple[str, ...]) -> Any:
    name = next((name for name in names if name in columns), None)
    if name is None:
        return None
    start, end = columns[name]
    try:
        # numpy takes five times as long over lists of words.
        return np.array([float(word) for row in rows for word in row[start:end]]).reshape(len(rows), end - start)
    except ValueError as error:
        raise Unfit("not-a-number", f"{name} cannot be read as numbers: {error}", _DAMAGED) from error


def _first(fields: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((fields[name] for name in names if name in fields), None)


def _numbers(text: str, what: str) -> FloatArray:
    try:
        numbers = np.array(text.translate(str.maketrans("\"'{}[],", "       ")).split(), dtype=np.float64)
    except ValueError as error:
        raise Unfit("not-a-number", f"{what} cannot be read as numbers: {error}", _DAMAGED) from error
    wanted = {"Lattice": (9,), "energy": (1,), "virial": (9,), "stress": (6, 9)}[what]
    if numbers.size not in wanted:
        raise Unfit("wrong-shape", f"{what} has {numbers.size} numbers, not {wanted[-1]}", _DAMAGED)
    return numbers


def full(stress: FloatArray) -> FloatArray:
    """3 × 3 from ASE's six numbers (xx, yy, zz, yz, xz, xy) or from nine."""
    if stress.size == 6:
        xx, yy, zz, yz, xz, xy = stress.ravel()
        stress = np.array([xx, xy, xz, xy, yy, yz, xz, yz, zz])
    return stress.reshape(3, 3)


def _virial(fields: dict[str, str], cell: FloatArray | None) -> FloatArray | None:
    virial = _first(fields, VIRIAL_KEYS)
    if virial is not None:
        return _numbers(virial, "virial").reshape(3, 3)
    text = _first(fields, STRESS_KEYS)
    if text is None or cell is None:
        return None
    stress = _numbers(text, "stress")
    return np.asarray(-abs(np.linalg.det(cell)) * full(stress), dtype=np.float64)
