"""Pairs of frames that are almost the same structure: what their forces say about the difference of their energies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from frames.frame import FloatArray, Frame

_FARTHEST_ANGSTROM = 0.35
_LARGEST_STRAIN = 0.04
# Without a virial the work of a strain is unknown; below this it does not matter.
_UNKNOWN_STRAIN = 5e-4
# The work of the strain carries the error of an unconverged basis: the forces must be what is compared.
_STRAIN_SHARE = 0.3
_NUMBERS_AT_ONCE = 1 << 22
_MOST_NUMBERS = 1 << 23
_NEAREST = 4


@dataclass(frozen=True, slots=True)
class Step:
    """From frame `first` to frame `second`: the energy between them as reported, and as forces and virials tell it, eV.

    force_work   −½ Σ (F_a + F_b)·Δx, exact for harmonic motion
    strain_work  −½ (W_a + W_b):ε
    moved        the largest displacement of an atom, Å; `natoms` are those of one frame
    """

    first: int
    second: int
    energy: float
    force_work: float
    strain_work: float
    moved: float
    natoms: int

    @property
    def work(self) -> float:
        return self.force_work + self.strain_work


def steps(frames: Sequence[Frame]) -> list[Step]:
    """Each frame with at most four nearest ones of the same atoms in the same order, every pair once."""
    groups: dict[bytes, list[int]] = {}
    for position, frame in enumerate(frames):
        groups.setdefault(frame.numbers.tobytes() + bytes([frame.cell is None]), []).append(position)
    found: dict[tuple[int, int], Step] = {}
    for members in groups.values():
        for first, second in _near(frames, _affordable(members, frames[members[0]].natoms)):
            key = (min(first, second), max(first, second))
            if key not in found and (step := _step(frames, *key)) is not None:
                found[key] = step
    return [found[key] for key in sorted(found)]


def _affordable(members: list[int], natoms: int) -> list[int]:
    """A run of neighbouring frames, as in a trajectory: all pairs of them can be compared."""
    return members[: max(2, int(np.sqrt(_MOST_NUMBERS / (3 * natoms))))]


def _near(frames: Sequence[Frame], members: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of positions; of each frame the nearest by root mean square displacement."""
    if len(members) < 2:
        return
    periodic = frames[members[0]].cell is not None
    places = np.stack([_places(frames[position]) for position in members])
    cells = np.stack([np.eye(3) if (cell := frames[position].cell) is None else cell for position in members])
    rows = max(1, _NUMBERS_AT_ONCE // places.size)
    for start in range(0, len(members), rows):
        moved = places[None] - places[start : start + rows, None]
        if periodic:
            moved -= np.rint(moved)
        moved = np.einsum("abnx,axy->abny", moved - moved.mean(axis=2, keepdims=True), cells[start : start + rows])
        farthest = np.linalg.norm(moved, axis=3).max(axis=2)
        spread = np.sqrt((moved**2).mean(axis=(2, 3)))
        spread[farthest > _FARTHEST_ANGSTROM] = np.inf
        spread[np.arange(len(spread)), start + np.arange(len(spread))] = np.inf
        for row, order in enumerate(np.argsort(spread, axis=1, kind="stable")[:, :_NEAREST]):
            for column in order[np.isfinite(spread[row, order])]:
                yield members[start + row], members[int(column)]


def _places(frame: Frame) -> FloatArray:
    """Fractions of the cell, or Å where there is none."""
    if frame.cell is None:
        return frame.coords
    return np.asarray(np.linalg.solve(frame.cell.T, frame.coords.T).T, dtype=np.float64)


def _step(frames: Sequence[Frame], first: int, second: int) -> Step | None:
    """None when the cells differ too much, or by what only a virial could account for."""
    one, other = frames[first], frames[second]
    moved = _places(other) - _places(one)
    strain_work, strain = 0.0, np.zeros((3, 3))
    if one.cell is not None and other.cell is not None:
        moved -= np.rint(moved)
        strain = 0.5 * (np.linalg.solve(one.cell, other.cell) - np.linalg.solve(other.cell, one.cell))
        moved = moved @ (0.5 * (one.cell + other.cell))
    moved -= moved.mean(axis=0)
    size = float(np.abs(strain).max())
    if size > _LARGEST_STRAIN:
        return None
    force_work = -0.5 * float(np.sum((one.forces + other.forces) * moved))
    if one.virial is not None and other.virial is not None:
        strain_work = -0.5 * float(np.sum((one.virial + other.virial) * strain))
    elif size > _UNKNOWN_STRAIN:
        return None
    energy = other.energy - one.energy
    if abs(strain_work) > _STRAIN_SHARE * max(abs(force_work), abs(energy)):
        return None
    farthest = float(np.linalg.norm(moved, axis=1).max())
    return Step(first, second, energy, force_work, strain_work, farthest, one.natoms)
