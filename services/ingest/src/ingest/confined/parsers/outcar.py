"""VASP's OUTCAR, streamed: memory holds a few ionic steps, and only the few lines that matter are looked at.

dpdata reads line by line and keeps all frames; it also joins the cells of machine-learned steps with those of the
next ab initio step, and calls a step unconverged that reached EDIFF in the last of NELM iterations.
"""

import re
from collections.abc import Iterator, Sequence
from io import RawIOBase
from pathlib import Path

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Raw, Unfit
from ingest.confined.lean import dpdata
from ingest.confined.parsers import columns
from ingest.confined.parsers.lattice import volume

_CHUNK = 1 << 22
_LARGEST_STEP = 1 << 27
# Bytes of steps whose tables are read at once.
_TOGETHER = 1 << 19
_END = b"free  energy   TOTEN"
_CELL, _CELL_ROWS = b"VOLUME and BASIS", 5
_TABLE = b"TOTAL-FORCE (eV/Angst)"
_STRESS = b"FORCE on cell =-STRESS"
_REACHED = b"EDIFF is reached"
_NOT_REACHED = b"EDIFF was not reached"
_ITERATION = re.compile(rb"Iteration +\d+\( *(\d+)\)")
_ENERGY = re.compile(rb"free  energy   TOTEN\s*=\s*(\S+)\s+eV")
_NINE_DECIMALS = re.compile(rb"-?\d+\.\d{9}")
_IN_KBAR = re.compile(rb"in kB +([^\n]*)\n")
# kbar Å³ → eV with the constant that dpdata uses for VASP, CODATA 2014: 8e-9 from that of 2018.
_KBAR = 1e3 / 1.602176621e6
_REPEAT = "Nothing, if you can do without; else repeat these steps of the calculation."
_COMPLETE = "Let the calculation finish, or leave the broken step out."


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of an OUTCAR in order. Raises Unfit, and what dpdata raises for a header without elements."""
    with files[0].open("rb", buffering=0) as file:
        blocks = _blocks(file)
        block = next(blocks)
        header = block.decode("latin-1").splitlines()
        names, _, types, nelm, _ = dpdata.formats.vasp.outcar.system_info(header, type_idx_zero=True)
        symbols = [str(names[kind]) for kind in types]
        yield from _frames(block, blocks, symbols, nelm or 0)


def _frames(block: bytes, blocks: Iterator[bytes], symbols: list[str], nelm: int) -> Iterator[Raw | Unfit]:
    steps: list[bytes] = []
    try:
        for following in blocks:
            steps.append(block)
            block = following
            if len(steps) * len(block) >= _TOGETHER:
                yield from _together(steps, symbols, nelm)
                steps = []
    except Unfit:
        yield from _together(steps, symbols, nelm)
        raise
    yield from _together(steps, symbols, nelm)
    # What stands after the last energy: timings, or a step that was cut short.
    if block.rfind(_TABLE) >= 0:
        yield Unfit("truncated", "the output breaks off after the forces, before the energy of this step", _COMPLETE)


def _blocks(file: RawIOBase) -> Iterator[bytes]:
    """One ionic step after another, each up to and with the line of its energy; then the rest. Raises Unfit."""
    rest = b""
    searched = 0
    while chunk := file.read(_CHUNK):
        rest += chunk
        start = 0
        while (end := rest.find(_END, max(start, searched))) >= 0 and (line_end := rest.find(b"\n", end)) >= 0:
            yield rest[start : line_end + 1]
            start = searched = line_end + 1
        rest = rest[start:]
        searched = max(0, len(rest) - len(_END)) if end < 0 else 0
        if len(rest) > _LARGEST_STEP:
            reason = f"one ionic step takes more than {_LARGEST_STEP >> 20} MiB"
            raise Unfit("unreadable", reason, "Convert it to vasprun.xml or extended XYZ, or write less with NWRITE.")
    if _END in rest:
        yield rest
        rest = b""
    yield rest


def _together(steps: list[bytes], symbols: list[str], nelm: int) -> Iterator[Raw | Unfit]:
    """Their tables are read at once where they are alike, as they mostly are: twice as fast as one by one."""
    natoms = len(symbols)
    texts = [_table_text(step) or b"" for step in steps]
    rows = columns.table(b"".join(texts), len(texts) * natoms, 6) if len({len(text) for text in texts}) == 1 else None
    if rows is None:
        yield from (_frame(step, None, symbols, nelm) for step in steps)
    else:
        tables = np.ascontiguousarray(rows.reshape(-1, natoms, 2, 3).swapaxes(1, 2))
        yield from (_frame(step, table, symbols, nelm) for step, table in zip(steps, tables, strict=True))


def _frame(block: bytes, table: FloatArray | None, symbols: list[str], nelm: int) -> Raw | Unfit:
    """`table`: positions and forces, [2, n, 3], where they have been read already."""
    converged = _converged(block, nelm)
    if converged is False:
        return Unfit("unconverged", f"the self-consistency did not converge within NELM = {nelm} iterations", _REPEAT)
    energy = _ENERGY.match(block, block.rindex(_END))
    if energy is None:
        return Unfit("truncated", "the output breaks off within the energy of this step", _COMPLETE)
    try:
        table = _table(block, len(symbols)) if table is None else table
        cell = _cell(block)
        stress = _stress(block)
    except ValueError as error:
        return Unfit("not-a-number", f"this step cannot be read as numbers: {error}", "Check this place in the OUTCAR.")
    if table is None:
        return Unfit("no-forces", "this step has an energy but no forces", "Write forces with NWRITE = 1 or more.")
    coords, forces = table
    if len(coords) < len(symbols) or cell is None:
        reason = f"incomplete labels: {len(coords)} of {len(symbols)} rows of forces"
        return Unfit("incomplete", reason if cell is not None else "this step has no cell", _REPEAT)
    virial = None if stress is None else stress * (_KBAR * volume(cell))
    return Raw(
        symbols=symbols,
        coords=coords,
        cell=cell,
        energy=float(energy[1]),
        forces=forces,
        virial=virial,
        converged=converged,
        turn=True,
    )


def _converged(block: bytes, nelm: int) -> bool | None:
    # Said after the last iteration, if at all.
    last = block.rfind(b"Iteration")
    if block.find(_NOT_REACHED, max(last, 0)) >= 0:
        return False
    if block.find(_REACHED, max(last, 0)) >= 0:
        return True
    iteration = _ITERATION.match(block, last) if last >= 0 else None
    if iteration is None:
        return None
    return int(iteration[1]) < nelm or not nelm


def _table_text(block: bytes) -> bytes | None:
    """The rows of the table of positions and forces; None where there is no table."""
    start = _table_start(block)
    if start is None:
        return None
    end = block.find(b" ----", start)
    return block[start : end if end >= 0 else None]


def _table_start(block: bytes) -> int | None:
    at = block.rfind(_TABLE)
    # Tables of a machine-learned force field are no labels.
    while at >= 0 and b"ML" in block[at : block.find(b"\n", at)]:
        at = block.rfind(_TABLE, 0, at)
    return block.find(b"\n", block.find(b"\n", at) + 1) + 1 if at >= 0 else None


def _table(block: bytes, natoms: int) -> FloatArray | None:
    """Positions and forces [2, rows that are complete, 3]; None where there is no table. Raises ValueError."""
    text, start = _table_text(block), _table_start(block)
    if text is None or start is None:
        return None
    rows = columns.table(text, natoms, 6)
    if rows is None:
        numbers = text.split()
        if len(numbers) != 6 * natoms:
            # Interrupted writing may run into the next record: rows count as long as they are numbers.
            whole = _numeric([row.split()[:6] for row in block[start:].split(b"\n", natoms)[:natoms]])
            rows = np.array(whole, dtype=np.float64)
        else:
            rows = np.array(numbers, dtype=np.float64)
    return np.ascontiguousarray(rows.reshape(-1, 2, 3).swapaxes(0, 1))


def _numeric(rows: list[list[bytes]]) -> list[list[float]]:
    result: list[list[float]] = []
    for row in rows:
        try:
            numbers = [float(number) for number in row]
        except ValueError:
            return result
        if len(numbers) < 6:
            return result
        result.append(numbers)
    return result


def _cell(block: bytes) -> FloatArray | None:
    at = block.rfind(_CELL)
    if at < 0:
        return None
    rows = block[at : at + 4096].split(b"\n", _CELL_ROWS + 3)[_CELL_ROWS : _CELL_ROWS + 3]
    # Columns of 13 characters with nine decimals: from 100 Å on, numbers touch.
    numbers = [_NINE_DECIMALS.findall(row)[:3] for row in rows]
    if len(numbers) < 3 or any(len(row) < 3 for row in numbers):
        return None
    return np.array(numbers, dtype=np.float64)


def _stress(block: bytes) -> FloatArray | None:
    """kbar [3, 3], positive where compressed; None when it was not computed."""
    at = block.rfind(_STRESS)
    at = block.find(b"in kB ", at) if at >= 0 else -1
    row = _IN_KBAR.match(block, at) if at >= 0 else None
    if row is None:
        return None
    xx, yy, zz, xy, yz, zx = map(float, row[1].split()[:6])
    return np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
