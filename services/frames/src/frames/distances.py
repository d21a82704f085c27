"""The closest pair of atoms in units of the sum of their covalent radii, periodic images included."""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from frames.frame import FloatArray, Frame
from frames.radii import COVALENT_RADII

_PAIRS_AT_ONCE = 1 << 20
_FLAT = 1e-3
# Columns and rows of a cross product.
_NEXT, _NEXT_BUT_ONE = [1, 2, 0], [2, 0, 1]


class FlatCell(ValueError):
    """A cell without volume: its vectors do not span space. `volume` is in Å³."""

    def __init__(self, volume: float) -> None:
        super().__init__(f"the cell's volume is {volume:.3g} Å³")
        self.volume = volume


@dataclass(frozen=True, slots=True)
class ClosestPair:
    """Atoms `first` and `second` (equal: an atom and its own image), Å apart; ratio = distance / (r_i + r_j)."""

    first: int
    second: int
    distance: float
    ratio: float


def closest_pair(frame: Frame, within_ratio: float) -> ClosestPair | None:
    """The pair of smallest ratio among those below `within_ratio`; None when all are farther apart.

    Every periodic image that can be so near is looked at, so cells smaller than a bond are judged right too.
    Raises FlatCell.
    """
    radii = COVALENT_RADII[frame.numbers - 1]
    images, home = _translations((0, 0, 0))
    coords = frame.coords
    wrapped = None
    if frame.cell is not None:
        lattice = _lattice(frame.cell.tobytes(), 2 * within_ratio * float(radii.max()))
        images, home = lattice.images, lattice.home
        wrapped = coords @ lattice.inverse
    best: ClosestPair | None = None
    rows = max(1, _PAIRS_AT_ONCE // (frame.natoms * len(images)))
    for start in range(0, frame.natoms, rows):
        block = slice(start, min(start + rows, frame.natoms))
        if wrapped is None or frame.cell is None:
            separation = (coords[None, :, :] - coords[block, None, :])[:, :, None, :]
        else:
            fraction = wrapped[None, :, :] - wrapped[block, None, :]
            fraction -= np.rint(fraction)
            separation = (fraction[:, :, None, :] + images) @ frame.cell
        found = _closest(np.linalg.norm(separation, axis=-1), radii, start, home)
        if found is not None and found.ratio < within_ratio and (best is None or found.ratio < best.ratio):
            best = found
    return best


@dataclass(frozen=True, slots=True)
class _Lattice:
    """images: lattice translations [M, 3] that can bring two atoms within reach; `home`: the row of none at all.

    Arrays are shared: not to be changed.
    """

    inverse: FloatArray
    images: FloatArray
    home: int


# Most trajectories keep their cell, or come back to it.
@lru_cache(maxsize=1024)
def _lattice(cell: bytes, cutoff: float) -> _Lattice:
    """Of a float64 [3, 3] cell, for distances up to `cutoff` Å. Raises FlatCell.

    Separations are wrapped to fractions in [−½, ½] first: an image |m| away along an axis is at least
    (|m| − ½) heights of the cell off, so m runs to ⌊cutoff/height + ½⌋.
    """
    vectors = np.frombuffer(cell, dtype=np.float64).reshape(3, 3)
    volume = abs(float(np.linalg.det(vectors)))
    second, third = vectors[_NEXT], vectors[_NEXT_BUT_ONE]
    normals = second[:, _NEXT] * third[:, _NEXT_BUT_ONE] - second[:, _NEXT_BUT_ONE] * third[:, _NEXT]
    areas = np.linalg.norm(normals, axis=1)
    if volume < _FLAT or not areas.all():
        raise FlatCell(volume)
    along_a, along_b, along_c = (int(one) for one in np.floor(cutoff * areas / volume + 0.5))
    inverse = np.asarray(np.linalg.inv(vectors), dtype=np.float64)
    return _Lattice(inverse, *_translations((along_a, along_b, along_c)))


@lru_cache(maxsize=64)
def _translations(reach: tuple[int, int, int]) -> tuple[FloatArray, int]:
    """All of at most so many cells along each axis, [M, 3], and the row of none at all."""
    images = np.array(list(itertools.product(*(range(-m, m + 1) for m in reach))), dtype=np.float64)
    return images, len(images) // 2


def _closest(distances: FloatArray, radii: FloatArray, start: int, home: int) -> ClosestPair | None:
    """Of distances [rows, n, images]; row r is atom start + r, whose distance to itself in the home cell is none."""
    own = np.arange(distances.shape[0])
    distances[own, start + own, home] = np.inf
    nearest = distances.min(axis=2)
    ratio = nearest / (radii[None, :] + radii[start : start + len(own), None])
    row, column = np.unravel_index(int(ratio.argmin()), ratio.shape)
    if not np.isfinite(ratio[row, column]):
        return None
    first, second = sorted((start + int(row), int(column)))
    return ClosestPair(first, second, float(nearest[row, column]), float(ratio[row, column]))
