"""What is kept of every frame: one row of numbers, about 150 bytes, so that a million frames fit in memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from frames.frame import SYMBOLS, FloatArray, Frame, formula
from numpy.typing import NDArray

from metric.domain.checks import Measures, Pair, where

Split = Literal["train", "held-out"]
SPLITS: tuple[Split, ...] = get_args(Split)
_CONVERGED: dict[bool | None, int] = {None: -1, False: 0, True: 1}
_TOLD = {code: told for told, code in _CONVERGED.items()}
_BLOCK = 4096

ROW = np.dtype(
    [
        ("split", "u1"),
        ("index", "u4"),
        ("source", "u4"),
        ("number", "u4"),
        ("formula", "u4"),
        ("natoms", "u4"),
        ("energy_ev", "f8"),
        ("force_ev_per_angstrom", "f8"),
        ("force_atom", "u4"),
        ("force_element", "u1"),
        ("net_force_mev_per_angstrom", "f8"),
        ("closest_ratio", "f8"),
        ("closest_angstrom", "f8"),
        ("closest_atoms", "u4", (2,)),
        ("closest_elements", "u1", (2,)),
        ("flat_volume", "f8"),
        ("virial_asymmetry", "f8"),
        ("converged", "i1"),
        ("known", "?"),
        ("residual_ev_per_atom", "f8"),
        ("robust_z", "f8"),
    ]
)
"""NaN: not there (no close pair, a cell that spans space, no virial). `converged` −1: the file does not tell."""


@dataclass(frozen=True, slots=True)
class Records:
    """rows [F] of `ROW` in the order of the dataset; `source` and `formula` are positions in the lists.

    counts  float64 [C, 118], atoms of each element in each formula
    """

    rows: NDArray[np.void]
    sources: tuple[str, ...]
    formulas: tuple[str, ...]
    counts: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(SYMBOLS[number] for number in np.flatnonzero(self.counts.any(axis=0)))

    def name(self, position: int) -> str:
        """How sentences call the frame."""
        row = self.rows[position]
        return where(self.sources[row["source"]], int(row["number"]))

    def measures(self, position: int) -> Measures:
        """As they were recorded."""
        row = self.rows[position]
        pair = None
        if not np.isnan(row["closest_ratio"]):
            first, second = map(int, row["closest_atoms"])
            one, other = map(int, row["closest_elements"])
            pair = Pair(first, second, one, other, float(row["closest_angstrom"]), float(row["closest_ratio"]))
        return Measures(
            max_force_ev_per_angstrom=float(row["force_ev_per_angstrom"]),
            max_force_atom=int(row["force_atom"]),
            max_force_element=int(row["force_element"]),
            net_force_mev_per_angstrom=float(row["net_force_mev_per_angstrom"]),
            closest=pair,
            flat_volume=_number(row["flat_volume"]),
            virial_asymmetry=_number(row["virial_asymmetry"]),
            converged=_TOLD[int(row["converged"])],
            known=bool(row["known"]),
        )


def record(frames: Iterable[tuple[Split, int, Frame, Measures]]) -> Records:
    """A row a frame, in their order. The energy's residual is not known yet: NaN."""
    blocks: list[NDArray[np.void]] = []
    pending: list[tuple[Any, ...]] = []
    sources: dict[str, int] = {}
    formulas: dict[str, int] = {}
    counts: list[FloatArray] = []
    last, composition = b"", ""
    for split, index, frame, measures in frames:
        # Most frames have the atoms of the one before.
        if (numbers := frame.numbers.tobytes()) != last:
            last, composition = numbers, formula(frame.numbers)
        if composition not in formulas:
            formulas[composition] = len(formulas)
            counts.append(np.bincount(frame.numbers - 1, minlength=len(SYMBOLS)).astype(np.float64))
        source = sources.setdefault(frame.source, len(sources))
        pending.append(_row(SPLITS.index(split), index, source, formulas[composition], frame, measures))
        if len(pending) == _BLOCK:
            blocks.append(np.array(pending, dtype=ROW))
            pending.clear()
    blocks.append(np.array(pending, dtype=ROW))
    every = np.array(counts).reshape(len(counts), len(SYMBOLS))
    return Records(np.concatenate(blocks), tuple(sources), tuple(formulas), every)


def _row(split: int, index: int, source: int, composition: int, frame: Frame, measures: Measures) -> tuple[Any, ...]:
    nan, pair = np.nan, measures.closest
    return (
        split,
        index,
        source,
        frame.index,
        composition,
        frame.natoms,
        frame.energy,
        measures.max_force_ev_per_angstrom,
        measures.max_force_atom,
        measures.max_force_element,
        measures.net_force_mev_per_angstrom,
        pair.ratio if pair is not None else nan,
        pair.distance_angstrom if pair is not None else nan,
        (pair.first, pair.second) if pair is not None else (0, 0),
        (pair.first_element, pair.second_element) if pair is not None else (0, 0),
        measures.flat_volume if measures.flat_volume is not None else nan,
        measures.virial_asymmetry if measures.virial_asymmetry is not None else nan,
        _CONVERGED[measures.converged],
        measures.known,
        nan,
        nan,
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
