"""Cells: their volume, and the axes in which they are lower triangular, as dpdata turns what some programs write.

Of many cells at once, [k, 3, 3], or one; a number comes out the same to the last bit whatever stands next to it.
"""

import numpy as np
from frames.frame import FloatArray
from numpy.typing import NDArray


def determinant(cell: FloatArray) -> float:
    """Of a 3 × 3 matrix, at a fifth of the cost of a general one."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell.tolist()
    return float(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))


def volume(cell: FloatArray) -> float:
    """Å³, positive whatever the order of the lattice vectors."""
    return abs(determinant(cell))


def determinants(cells: FloatArray) -> FloatArray:
    """The determinant of each, [k]."""
    ax, ay, az, bx, by, bz, cx, cy, cz = cells.reshape(-1, 9).T
    values: FloatArray = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    return values


def upright(cells: FloatArray) -> NDArray[np.bool_]:
    """Which ones have a along x, b in the xy plane and c above it already, [k]."""
    flat = cells.reshape(-1, 9)
    zeros = (flat[:, [1, 2, 5]] == 0).all(axis=1)
    return np.asarray(zeros & (flat[:, [0, 4, 8]] > 0).all(axis=1))


def lower_triangular(cells: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same lattices with a along x and b in the xy plane, and the rotations (rows @ rotation), [k, 3, 3] each.

    Equal to dpdata's QR decomposition to rounding, at a fifth of its cost. Left-handed lattice vectors, over which
    dpdata's stumbles, exchange b and c first: it is the same lattice, and deepmd's neighbour list needs it.
    A cell without volume gives numbers that are not finite.
    """
    a, b, c = np.moveaxis(cells, 1, 0).swapaxes(1, 2)
    left = _dot(_cross(a, b), c) < 0
    b, c = np.where(left, c, b), np.where(left, b, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        ax = _norm(a)
        first = a / ax
        bx = _dot(b, first)
        rest = b - bx * first
        by = _norm(rest)
        second = rest / by
    third = _cross(first, second)
    turned = np.zeros_like(cells)
    turned[:, 0, 0], turned[:, 1, 0], turned[:, 1, 1] = ax, bx, by
    turned[:, 2, 0], turned[:, 2, 1], turned[:, 2, 2] = _dot(c, first), _dot(c, second), _dot(c, third)
    return turned, np.stack([first, second, third]).transpose(2, 1, 0)


def rotated(rows: FloatArray, rotations: FloatArray) -> FloatArray:
    """rows @ rotations, [k, n, 3]; unlike `@`, which takes one algorithm or another, always summed in one order."""
    parts = [rows[:, :, place, np.newaxis] * rotations[:, np.newaxis, place] for place in range(3)]
    product: FloatArray = parts[0] + parts[1] + parts[2]
    return product


# Vectors as [3, k].
def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    value: FloatArray = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return value


def _norm(a: FloatArray) -> FloatArray:
    value: FloatArray = np.sqrt(_dot(a, a))
    return value


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
