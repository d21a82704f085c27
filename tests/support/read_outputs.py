"""Reading one written calculation as ingest does: what comes of it, and why something does not."""

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from frames.frame import Frame
from ingest.confined import readers
from ingest.confined.catalogue import formats
from ingest.confined.finding import Format, Tree, find
from ingest.confined.judging import Unfit, atomic_numbers, frame
from ingest.confined.reading import Parser

Examples = Callable[..., list[Frame]]
ROWS = {one["name"]: one for one in formats()}


def read(root: Path, name: str) -> list[Frame | Unfit]:
    """The one calculation of that format below root: its frames, and why one is none."""
    row = ROWS[name]
    (calculation,) = find(Tree(root), Format(name, row["reads"], tuple(row["names"])))
    wanted = {"format": name, "files": list(calculation.files), "options": calculation.options, "multi": row["multi"]}
    found: list[Frame | Unfit] = []
    for index, raw in enumerate(readers.frames(root, wanted)):
        try:
            if isinstance(raw, Unfit):
                raise raw
            found.append(frame(raw, atomic_numbers(raw.symbols), index))
        except Unfit as unfit:
            found.append(unfit)
    return found


def good(root: Path, name: str) -> list[Frame]:
    found = read(root, name)
    assert all(isinstance(one, Frame) for one in found), found
    return [one for one in found if isinstance(one, Frame)]


def refused(root: Path, name: str) -> Unfit:
    with pytest.raises(Unfit) as unfit:
        read(root, name)
    return unfit.value


def set_aside(root: Path, name: str) -> list[tuple[int | None, str]]:
    """Frame and rule of what the parse loop sets aside of the one calculation."""
    row = ROWS[name]
    (calculation,) = find(Tree(root), Format(name, row["reads"], tuple(row["names"])))
    wanted = {"number": 0, "format": name, "files": list(calculation.files), "options": calculation.options}
    report = io.BytesIO()
    parser = Parser({"tree": str(root)}, [report, io.BytesIO(), io.BytesIO()])
    parser.read([wanted | {"multi": row["multi"], "theory": True}])
    (end,) = [said for line in report.getvalue().splitlines() if "end" in (said := json.loads(line))]
    return [(one["frame"], one["rule"]) for one in end["set_aside"]]


def rules(found: Sequence[Frame | Unfit]) -> list[str | None]:
    return [one.rule if isinstance(one, Unfit) else None for one in found]


def edit(path: Path, pattern: str, by: str, count: int = 0) -> None:
    text, changed = re.subn(pattern, by, path.read_text(), count=count)
    assert changed
    path.write_text(text)


def atoms(symbols: str, energy: float, **more: Any) -> Atoms:
    """With labels, as an ASE calculator leaves them."""
    made = Atoms(symbols, positions=np.arange(3 * len(Atoms(symbols)), dtype=float).reshape(-1, 3), **more)
    forces = np.full((len(made), 3), 0.5)
    made.calc = SinglePointCalculator(made, energy=energy, forces=forces)
    return made
