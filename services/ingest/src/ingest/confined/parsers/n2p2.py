"""n2p2 and RuNNer: input.data, streamed. dpdata wants the same atoms in every structure and a cell for each.

Lengths in bohr, energies in Hartree, as dpdata takes them: the file itself does not tell.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ingest.confined.judging import Raw, Unfit
from ingest.confined.parsers.tables import number, numbers
from ingest.confined.parsers.units import BOHR, HARTREE, HARTREE_PER_BOHR

_DAMAGED = "Check this structure: between begin and end stand lattice, atom, energy and charge."


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Structures in order. Raises Unfit where the file breaks off."""
    block: list[list[str]] | None = None
    outside: list[str] = []
    with files[0].open(encoding="utf-8-sig", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == "begin":
                block, outside = [], []
            elif words[0] == "end" and block is not None:
                try:
                    yield _structure(block)
                except Unfit as unfit:
                    yield unfit
                block = None
            elif block is not None:
                block.append(words)
            else:
                outside = words
    if block is not None or "begin".startswith(" ".join(outside) or "-"):
        raise Unfit("truncated", "the file ends within a structure", _DAMAGED)


def _structure(block: list[list[str]]) -> Raw:
    atoms = [words for words in block if words[0] == "atom"]
    vectors = [words for words in block if words[0] == "lattice"]
    energy = next((words[1] for words in block if words[0] == "energy" and len(words) > 1), None)
    if any(len(words) < 10 for words in atoms):
        raise Unfit("unreadable", "an atom has fewer than nine columns", _DAMAGED)
    if len(vectors) not in (0, 3):
        raise Unfit("bad-cell", f"{len(vectors)} lattice vectors", _DAMAGED)
    return Raw(
        symbols=[words[4] for words in atoms],
        coords=numbers(atoms, 1, "positions") * BOHR,
        cell=numbers(vectors, 1, "lattice") * BOHR if vectors else None,
        energy=None if energy is None else np.float64(number(energy, "energy") * HARTREE),
        forces=numbers(atoms, 7, "forces") * HARTREE_PER_BOHR,
        virial=None,
    )
