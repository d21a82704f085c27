"""cp.x: a trajectory in files of one stem (.in, .pos, .for, .evp, .cel, .str), streamed.

dpdata takes the sixth column of .evp for the energy, whatever its header says, and a unit cube for a lattice that it
does not know.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Raw, Unfit
from ingest.confined.parsers import pw_input
from ingest.confined.parsers.lattice import volume
from ingest.confined.parsers.tables import number, numbers, take
from ingest.confined.parsers.units import BOHR, GPA, HARTREE, HARTREE_PER_BOHR

_ENERGY_COLUMN = 5
_TOGETHER = "Keep the files of one run together: .in, .pos, .for, .evp and, if the cell moves, .cel."
_Block = tuple[str, FloatArray]


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of a stem in order. Raises Unfit."""
    stem = files[0]
    paths = {end: stem.with_name(stem.name + end) for end in (".in", ".pos", ".for", ".evp", ".cel", ".str")}
    missing = [paths[end].name for end in (".in", ".pos", ".for", ".evp") if not paths[end].is_file()]
    if missing:
        rule = "no-forces" if missing == [paths[".for"].name] else "no-output-file"
        raise Unfit(rule, f"{' and '.join(missing)} is not there", _TOGETHER)
    given = pw_input.parse(paths[".in"].read_text(encoding="latin-1"))
    symbols = given.symbols
    energies = _energies(paths[".evp"])
    with ExitStack() as stack:
        positions = _blocks(stack, paths[".pos"], len(symbols))
        forces = _blocks(stack, paths[".for"], len(symbols))
        cells = _blocks(stack, paths[".cel"], 3) if paths[".cel"].is_file() else None
        stresses = _blocks(stack, paths[".str"], 3) if paths[".str"].is_file() else None
        for step, coords in positions:
            cell = given.cell if cells is None else _of(step, cells, ".cel").T * BOHR
            force = _of(step, forces, ".for")
            stress = None if stresses is None else _of(step, stresses, ".str")
            if step not in energies:
                yield Unfit("no-energy", f"step {step} of .pos is not in .evp", _TOGETHER)
                continue
            virial = None if stress is None else stress * (GPA * volume(cell))
            energy = energies[step] * HARTREE
            yield Raw(symbols, coords * BOHR, cell, energy, force * HARTREE_PER_BOHR, virial, turn=True)


def _energies(path: Path) -> dict[str, float]:
    """Total energy, Hartree, by step. Raises Unfit."""
    energies: dict[str, float] = {}
    column = _ENERGY_COLUMN
    with path.open(encoding="latin-1") as lines:
        for line in lines:
            words = line.split()
            if line.lstrip().startswith("#"):
                names = line.replace("#", " ").split()
                column = names.index("etot") if "etot" in names else column
            # Without a line end the last word may be half a number.
            elif len(words) > column + (not line.endswith("\n")):
                energies[words[0]] = number(words[column], "etot")
    return energies


def _blocks(stack: ExitStack, path: Path, rows: int) -> Iterator[_Block]:
    """Step and rows [n, 3] of one file after another. Raises Unfit where it breaks off."""
    lines = stack.enter_context(path.open(encoding="latin-1"))
    for line in lines:
        if words := line.split():
            yield words[0], numbers(take(lines, rows, path.name), 0, path.name)


def _of(step: str, blocks: Iterator[_Block], end: str) -> FloatArray:
    """The block of that step. Raises Unfit: what comes after it cannot be told apart."""
    found, values = next(blocks, ("", np.empty((0, 3))))
    if found != step:
        reason = f"step {step} of .pos stands where {end} has step {found}" if found else f"step {step} is not in {end}"
        raise Unfit("incomplete", reason, _TOGETHER)
    return values
