"""Frames grouped into the arrays that deepmd takes: one call predicts frames of one size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from frames.frame import SYMBOLS, FloatArray, Frame, IntArray
from numpy.typing import NDArray

Descriptors = NDArray[np.float32]


class UnknownElement(ValueError):
    """A frame has an element that the model's type map lacks."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames of equal size, all periodic or none.

    positions  where they stood in the given sequence
    coords     float64 [B, n, 3], Å
    cells      float64 [B, 3, 3], Å, or None: not periodic
    types      int64 [B, n], indices into the model's type map
    """

    positions: list[int]
    coords: FloatArray
    cells: FloatArray | None
    types: IntArray

    def rows(self, start: int, end: int) -> "Batch":
        """The frames from `start` up to `end` alone."""
        cells = None if self.cells is None else self.cells[start:end]
        return Batch(self.positions[start:end], self.coords[start:end], cells, self.types[start:end])

    def arrays(self) -> tuple[FloatArray, FloatArray | None, IntArray]:
        """Coordinates [B, 3n], cells [B, 9] or None and types [B, n]: the arguments of deepmd's `eval`."""
        count = len(self.positions)
        return self.coords.reshape(count, -1), None if self.cells is None else self.cells.reshape(count, 9), self.types


@dataclass(frozen=True, slots=True)
class Prediction:
    """energy float64 [F], eV; forces one float64 [n, 3] a frame, eV/Å; virial one float64 [3, 3] a frame, eV;
    descriptors, where they were asked for, one float32 [n, d] a frame.
    """

    energy: FloatArray
    forces: list[FloatArray]
    virial: list[FloatArray]
    descriptors: list[Descriptors] | None = None


def batches(frames: Sequence[Frame], type_map: Sequence[str], max_atoms: int | None = None) -> Iterator[Batch]:
    """Batches of at most `max_atoms` atoms (at least one frame each); every frame comes once.

    Raises UnknownElement.
    """
    index = _type_indices(type_map)
    groups: dict[tuple[int, bool], list[int]] = {}
    for position, frame in enumerate(frames):
        groups.setdefault((frame.natoms, frame.cell is not None), []).append(position)
    for (natoms, _), positions in groups.items():
        size = len(positions) if max_atoms is None else max(1, max_atoms // natoms)
        for start in range(0, len(positions), size):
            yield _batch(frames, positions[start : start + size], index)


def _batch(frames: Sequence[Frame], positions: list[int], index: IntArray) -> Batch:
    chosen = [frames[position] for position in positions]
    types = index[np.stack([frame.numbers for frame in chosen]) - 1]
    if (types < 0).any():
        row = int(np.argwhere(types < 0)[0][0])
        missing = sorted({SYMBOLS[n - 1] for n in chosen[row].numbers if index[n - 1] < 0})
        raise UnknownElement(
            f"frame {chosen[row].index} of {chosen[row].source or 'the dataset'} has {', '.join(missing)}, "
            "which the model's type map lacks; only a new model with a larger type map can take it"
        )
    cells = [frame.cell for frame in chosen if frame.cell is not None]
    return Batch(positions, np.stack([frame.coords for frame in chosen]), np.stack(cells) if cells else None, types)


def _type_indices(type_map: Sequence[str]) -> IntArray:
    known = {symbol: position for position, symbol in enumerate(type_map)}
    return np.array([known.get(symbol, -1) for symbol in SYMBOLS], dtype=np.int64)


class Gathered:
    """Puts the results of batches back into the order of the frames."""

    def __init__(self, count: int) -> None:
        self._energy = np.zeros(count)
        self._forces: list[FloatArray] = [np.zeros((0, 3))] * count
        self._virial: list[FloatArray] = [np.zeros((3, 3))] * count
        self._descriptors: list[Descriptors] = [np.zeros((0, 0), np.float32)] * count
        self._described = False

    def add(
        self,
        batch: Batch,
        energy: FloatArray,
        forces: FloatArray,
        virial: FloatArray,
        descriptors: Descriptors | None = None,
    ) -> None:
        """energy [B] or [B, 1]; forces [B, n, 3]; virial [B, 9]; descriptors [B, n, d], of all batches or none."""
        self._energy[batch.positions] = np.asarray(energy, dtype=np.float64).reshape(-1)
        for row, position in enumerate(batch.positions):
            self._forces[position] = np.asarray(forces[row], dtype=np.float64).reshape(-1, 3)
            self._virial[position] = np.asarray(virial[row], dtype=np.float64).reshape(3, 3)
            if descriptors is not None:
                self._descriptors[position] = np.asarray(descriptors[row], dtype=np.float32)
                self._described = True

    def prediction(self) -> Prediction:
        descriptors = self._descriptors if self._described else None
        return Prediction(self._energy, self._forces, self._virial, descriptors)
