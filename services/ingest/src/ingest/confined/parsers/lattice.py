"""A frame turned so that its cell is lower triangular, as dpdata turns what these programs write."""

from dataclasses import replace
from math import sqrt

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Raw, determinant


def volume(cell: FloatArray) -> float:
    """Å³, positive whatever the order of the lattice vectors."""
    return abs(determinant(cell))


def lower_triangular(raw: Raw) -> Raw:
    """The same frame in axes where a lies along x and b in the xy plane; a frame without volume stays as it is.

    Equal to dpdata's QR decomposition to rounding, at a fifth of its cost. Left-handed lattice vectors, over which
    dpdata's stumbles, exchange b and c first: it is the same lattice, and deepmd's neighbour list needs it.
    """
    if raw.cell is None:
        return raw
    a, b, c = raw.cell.tolist()
    if a[1] == a[2] == b[2] == 0 and min(a[0], b[1], c[2]) > 0:
        return raw
    if _dot(_cross(a, b), c) < 0:
        b, c = c, b
    ax = _norm(a)
    first = _over(a, ax)
    bx = _dot(b, first)
    rest = [b[0] - bx * first[0], b[1] - bx * first[1], b[2] - bx * first[2]]
    by = _norm(rest)
    second = _over(rest, by)
    third = _cross(first, second)
    cz = _dot(c, third)
    if not cz > 0:
        return raw
    turn = np.array([first, second, third]).T
    return replace(
        raw,
        cell=np.array([[ax, 0.0, 0.0], [bx, by, 0.0], [_dot(c, first), _dot(c, second), cz]]),
        coords=raw.coords @ turn,
        forces=None if raw.forces is None else raw.forces @ turn,
        virial=None if raw.virial is None else turn.T @ (raw.virial @ turn),
    )


def _dot(a: list[float], b: list[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _norm(a: list[float]) -> float:
    return sqrt(_dot(a, a))


def _over(a: list[float], length: float) -> list[float]:
    return [a[0] / length, a[1] / length, a[2] / length] if length else a


def _cross(a: list[float], b: list[float]) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
