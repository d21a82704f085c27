"""PWmat: MOVEMENT, streamed.

dpdata sorts atoms in quadratic time, and its virial is 1.1e-4 too small: it takes 160.2 GPa for 1 eV/Å³ on the way
there and 160.2176621 on the way back. The file has the virial in eV.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from frames.frame import SYMBOLS, FloatArray

from ingest.confined.judging import SELF_CONSISTENT, Raw, Unfit
from ingest.confined.parsers.tables import number, numbers, take

_HEAD = re.compile(
    r"^\s*(\d+)\s+atoms.*?Iteration[^=]*=\s*(\S+?),.*?Etot,Ep,Ek[^=]*=\s*(\S+)\s+(\S+).*?SCF\s*=\s*(\d+)"
)
# dpdata's rule: the file does not tell the limit, and these are PWmat's defaults for a first and a later step.
_FIRST_STEP, _LATER_STEP = 100, 40
_CHECK = "Check this step of MOVEMENT: it wants lattice, positions and forces."


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames in order. Raises Unfit."""
    with files[0].open(encoding="latin-1") as lines:
        limit = 0
        for line in lines:
            head = _HEAD.match(line)
            if head is None:
                continue
            # As dpdata has it: by whether the file begins at time zero.
            limit = limit or (_LATER_STEP if number(head[2], "time") > 0 else _FIRST_STEP)
            try:
                yield _frame(head, lines, limit)
            except Unfit as unfit:
                if unfit.rule == "truncated":
                    raise
                yield unfit


def _frame(head: re.Match[str], lines: Iterator[str], limit: int) -> Raw:
    natoms = int(head[1])
    cell: FloatArray | None = None
    virial: FloatArray | None = None
    places: FloatArray | None = None
    forces: FloatArray | None = None
    elements: list[str] = []
    for line in lines:
        if "-------" in line:
            break
        if "Lattice vector" in line:
            rows = take(lines, 3, "the lattice")
            cell = numbers(rows, 0, "lattice")
            # 'ax ay az  stress (eV): sx sy sz'
            virial = numbers(rows, 5, "stress") if all("stress" in row for row in rows) else None
        elif "Position" in line and "nonperiodic_Position" not in line:
            rows = take(lines, natoms, "the positions")
            elements = [row[0] for row in rows]
            places = numbers(rows, 1, "positions")
        elif "Force" in line:
            forces = -numbers(take(lines, natoms, "the forces"), 1, "forces")
    iterations = int(head[5])
    if iterations >= limit:
        reason = f"the self-consistency took {iterations} iterations, PWmat's limit by default"
        raise Unfit("unconverged", reason, SELF_CONSISTENT)
    if cell is None or places is None:
        raise Unfit("incomplete", "this step lacks its lattice or positions", _CHECK)
    return Raw(_symbols(elements), places @ cell, cell, number(head[4], "Ep"), forces, virial, turn=True)


def _symbols(elements: list[str]) -> list[str]:
    try:
        return [SYMBOLS[int(number) - 1] for number in elements]
    except (ValueError, IndexError):
        raise Unfit("unknown-element", f"atomic numbers {sorted(set(elements))[:5]}", _CHECK) from None
