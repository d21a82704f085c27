"""Rows of numbers, and atoms grouped by kind."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from frames.frame import Frame


def row(values: Any, form: str = "20.12f") -> str:
    """Numbers in columns, e.g. form '20.12f' or '16.9E'."""
    return " ".join(f"{value:{form}}" for value in np.ravel(np.asarray(values, dtype=float)))


def rows(matrix: Any, form: str = "20.12f", indent: str = " ") -> str:
    return "".join(f"{indent}{row(one, form)}\n" for one in np.asarray(matrix, dtype=float))


def groups(frame: Frame) -> list[tuple[str, int]]:
    """Runs of the same element: [('O', 1), ('H', 2), …]."""
    return [(symbol, len(list(run))) for symbol, run in groupby(frame.symbols)]


def volume(frame: Frame) -> float:
    """Å³"""
    assert frame.cell is not None
    return abs(float(np.linalg.det(frame.cell)))


def pressure_like(frame: Frame) -> Any:
    """virial / volume, eV/Å³: the tensor whose trace is positive under pressure."""
    assert frame.virial is not None
    return frame.virial / volume(frame)


def fractional(frame: Frame) -> Any:
    assert frame.cell is not None
    return frame.coords @ np.linalg.inv(frame.cell)


def masses(symbols: Sequence[str]) -> list[float]:
    known = {"O": 15.999, "H": 1.008, "Si": 28.085, "C": 12.011}
    return [known[symbol] for symbol in symbols]
