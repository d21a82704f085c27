"""Frames for outputs to be written from."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames.frame import ATOMIC_NUMBERS, Frame
from ingest.confined import finding, reading
from ingest.confined.catalogue import formats

ROWS = [finding.Format(one["name"], one["reads"], tuple(one["names"])) for one in formats()]

# Kinds in an order that no sorting gives, triclinic, nothing on a symmetric place.
SYMBOLS = ("O", "H", "H", "Si", "C")
CELL = np.array([[6.1, 0.0, 0.0], [0.7, 5.3, 0.0], [-0.4, 1.1, 7.2]])
PLACES = np.array([[0.12, 0.21, 0.33], [0.31, 0.27, 0.41], [0.18, 0.44, 0.26], [0.63, 0.71, 0.58], [0.83, 0.52, 0.79]])


def _examples(count: int, seed: int, fixed_cell: bool = False) -> list[Frame]:
    rng = np.random.default_rng(seed)
    made = []
    for index in range(count):
        cell = CELL * (1 if fixed_cell else 1 + 0.01 * index)
        forces = rng.normal(0, 0.8, (5, 3))
        stress = rng.normal(0, 3, (3, 3))
        made.append(
            Frame(
                numbers=np.array([ATOMIC_NUMBERS[symbol] for symbol in SYMBOLS]),
                coords=(PLACES + rng.normal(0, 0.005, (5, 3))) @ cell,
                cell=cell,
                energy=-1234.5 - seed - 0.123456 * index,
                forces=forces - forces.mean(axis=0),
                virial=stress + stress.T,
                index=index,
            )
        )
    return made


@pytest.fixture(scope="session")
def examples() -> Callable[..., list[Frame]]:
    """(count, seed, fixed_cell) → frames with nothing equal and nothing zero; their forces sum up to nothing."""
    return _examples


def _parsed(root: Path, name: str) -> list[dict[str, Any]]:
    found = finding.find(finding.Tree(root), next(row for row in ROWS if row.name == name))
    calculations = [
        {
            "number": number,
            "format": name,
            "files": list(one.files),
            "options": one.options,
            "multi": False,
            "theory": True,
        }
        for number, one in enumerate(found)
    ]
    report = BytesIO()
    reading.Parser({"tree": str(root)}, [report, BytesIO(), BytesIO()]).read(calculations)
    ends = [one for line in report.getvalue().splitlines() if "end" in (one := json.loads(line))]
    assert len(ends) == len(found)
    return ends


@pytest.fixture(scope="session")
def parsed() -> Callable[[Path, str], list[dict[str, Any]]]:
    """(tree, format) → what the parsing child reports of each of its calculations."""
    return _parsed
