"""Quantum ESPRESSO's Bravais lattices by their number (ibrav), in units of the lattice parameter.

Reference: the section ibrav of https://www.quantum-espresso.org/Doc/INPUT_PW.html
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Unfit

Angles = tuple[float, float, float]


def bravais(number: int, b: float, c: float, cosines: Angles) -> FloatArray:
    """Lattice vectors as rows; b and c are b/a and c/a, cosines those of the angles bc, ac, ab. Raises Unfit."""
    lattice = _LATTICES.get(number)
    if lattice is None:
        remedy = "Write the cell with ibrav = 0 and CELL_PARAMETERS."
        raise Unfit("input-unreadable", f"there is no lattice ibrav = {number}", remedy)
    try:
        return np.array(lattice(b, c, cosines), dtype=np.float64)
    except (ValueError, ZeroDivisionError):
        remedy = "Compare celldm(2…6), or B, C and the cosines, with the description of ibrav."
        raise Unfit("input-unreadable", f"ibrav = {number} with these celldm is no lattice", remedy) from None


def _trigonal(cosine: float) -> tuple[float, float, float]:
    return sqrt((1 - cosine) / 2), sqrt((1 - cosine) / 6), sqrt((1 + 2 * cosine) / 3)


def _rhombohedral(cosine: float) -> list[list[float]]:
    x, y, z = _trigonal(cosine)
    return [[x, -y, z], [0, 2 * y, z], [-x, -y, z]]


def _rhombohedral_111(cosine: float) -> list[list[float]]:
    """The threefold axis along (1, 1, 1)."""
    _, y, z = _trigonal(cosine)
    u, v = (z - 2 * sqrt(2) * y) / sqrt(3), (z + sqrt(2) * y) / sqrt(3)
    return [[u, v, v], [v, u, v], [v, v, u]]


def _triclinic(b: float, c: float, cosines: Angles) -> list[list[float]]:
    bc, ac, ab = cosines
    sine = sqrt(1 - ab * ab)
    height = sqrt(1 + 2 * bc * ac * ab - bc * bc - ac * ac - ab * ab) / sine
    return [[1, 0, 0], [b * ab, b * sine, 0], [c * ac, c * (bc - ac * ab) / sine, c * height]]


_LATTICES: dict[int, Callable[[float, float, Angles], list[list[float]]]] = {
    1: lambda b, c, cos: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    2: lambda b, c, cos: [[-0.5, 0, 0.5], [0, 0.5, 0.5], [-0.5, 0.5, 0]],
    3: lambda b, c, cos: [[0.5, 0.5, 0.5], [-0.5, 0.5, 0.5], [-0.5, -0.5, 0.5]],
    -3: lambda b, c, cos: [[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]],
    4: lambda b, c, cos: [[1, 0, 0], [-0.5, sqrt(3) / 2, 0], [0, 0, c]],
    5: lambda b, c, cos: _rhombohedral(cos[0]),
    -5: lambda b, c, cos: _rhombohedral_111(cos[0]),
    6: lambda b, c, cos: [[1, 0, 0], [0, 1, 0], [0, 0, c]],
    7: lambda b, c, cos: [[0.5, -0.5, c / 2], [0.5, 0.5, c / 2], [-0.5, -0.5, c / 2]],
    8: lambda b, c, cos: [[1, 0, 0], [0, b, 0], [0, 0, c]],
    9: lambda b, c, cos: [[0.5, b / 2, 0], [-0.5, b / 2, 0], [0, 0, c]],
    -9: lambda b, c, cos: [[0.5, -b / 2, 0], [0.5, b / 2, 0], [0, 0, c]],
    91: lambda b, c, cos: [[1, 0, 0], [0, b / 2, -c / 2], [0, b / 2, c / 2]],
    10: lambda b, c, cos: [[0.5, 0, c / 2], [0.5, b / 2, 0], [0, b / 2, c / 2]],
    11: lambda b, c, cos: [[0.5, b / 2, c / 2], [-0.5, b / 2, c / 2], [-0.5, -b / 2, c / 2]],
    12: lambda b, c, cos: [[1, 0, 0], [b * cos[2], b * sqrt(1 - cos[2] ** 2), 0], [0, 0, c]],
    -12: lambda b, c, cos: [[1, 0, 0], [0, b, 0], [c * cos[1], 0, c * sqrt(1 - cos[1] ** 2)]],
    13: lambda b, c, cos: [[0.5, 0, -c / 2], [b * cos[2], b * sqrt(1 - cos[2] ** 2), 0], [0.5, 0, c / 2]],
    -13: lambda b, c, cos: [[0.5, b / 2, 0], [-0.5, b / 2, 0], [c * cos[1], 0, c * sqrt(1 - cos[1] ** 2)]],
    14: _triclinic,
}
