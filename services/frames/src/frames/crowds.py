"""The closest pair of a large structure: atoms are sorted into boxes, and only neighbours are compared.

`distances.closest_pair` compares everything with everything, which is exact and fast for the cells that DFT can
do; beyond some thousand atoms this is the way.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from frames.distances import ClosestPair, FlatCell
from frames.frame import FloatArray
from frames.radii import COVALENT_RADII

MOST_IN_A_BOX = 256
"""Atoms of one box that are compared with each other. A box is a few Å wide: with more, some of these overlap."""
_FLAT = 1e-3
Ints = NDArray[np.int64]


def closest_of_many(
    numbers: Ints, coords: FloatArray, cell: FloatArray | None, within_ratio: float
) -> ClosestPair | None:
    """As `distances.closest_pair`: the pair of smallest ratio below `within_ratio`, periodic images included.

    numbers int64 [n], coords float64 [n, 3] Å, cell float64 [3, 3] Å or None. Memory and time grow with n; where
    atoms are heaped up without end, a pair that overlaps is found, not surely the closest. Raises FlatCell.
    """
    radii = COVALENT_RADII[numbers - 1]
    reach = 2 * within_ratio * float(radii.max())
    places, owners = _with_images(coords, cell, reach)
    boxes = np.floor((places - places.min(axis=0)) / reach).astype(np.int64)
    shape = boxes.max(axis=0) + 2
    order, keys = _sorted_by_box(boxes, shape)
    places, owners, boxes = places[order], owners[order], boxes[order]
    starts = np.arange(len(keys), dtype=np.int64)
    best: ClosestPair | None = None
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step < (0, 0, 0):
            continue  # the opposite step compares the same boxes
        wanted = _key(boxes + np.array(step), shape)
        low = np.searchsorted(keys, wanted, "left") if step != (0, 0, 0) else starts + 1
        high = np.searchsorted(keys, wanted, "right")
        longest = int(min((high - low).max(initial=0), MOST_IN_A_BOX))
        for further in range(longest):
            here = np.flatnonzero(low + further < high)
            there = low[here] + further
            best = _closer(best, here, there, places, owners, radii)
    return best if best is not None and best.ratio < within_ratio else None


def _closer(
    best: ClosestPair | None, here: Ints, there: Ints, places: FloatArray, owners: Ints, radii: FloatArray
) -> ClosestPair | None:
    """Of these pairs and the best so far."""
    distance = np.linalg.norm(places[here] - places[there], axis=1)
    ratio = distance / (radii[owners[here]] + radii[owners[there]])
    which = int(ratio.argmin())
    if best is not None and best.ratio <= ratio[which]:
        return best
    first, second = sorted((int(owners[here[which]]), int(owners[there[which]])))
    return ClosestPair(first, second, float(distance[which]), float(ratio[which]))


def _with_images(coords: FloatArray, cell: FloatArray | None, reach: float) -> tuple[FloatArray, Ints]:
    """The atoms, wrapped into the cell, and every image within `reach` of it: places [m, 3] and whose they are [m]."""
    owners = np.arange(len(coords), dtype=np.int64)
    if cell is None:
        return coords, owners
    volume = abs(float(np.linalg.det(cell)))
    areas = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    if volume < _FLAT or not areas.all():
        raise FlatCell(volume)
    fractions = coords @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    margin = reach * areas / volume
    for axis in range(3):
        copies, whose = [fractions], [owners]
        for shift in range(1, int(np.ceil(margin[axis])) + 1):
            after = fractions[:, axis] + shift <= 1 + margin[axis]
            before = fractions[:, axis] - shift >= -margin[axis]
            for chosen, sign in ((after, shift), (before, -shift)):
                moved = fractions[chosen].copy()
                moved[:, axis] += sign
                copies.append(moved)
                whose.append(owners[chosen])
        fractions, owners = np.concatenate(copies), np.concatenate(whose)
    return fractions @ cell, owners


def _sorted_by_box(boxes: Ints, shape: Ints) -> tuple[Ints, Ints]:
    keys = _key(boxes, shape)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    return order, keys[order]


def _key(boxes: Ints, shape: Ints) -> Ints:
    """One number a box; a box outside is no box: -1."""
    inside = ((boxes >= 0) & (boxes < shape)).all(axis=1)
    keys = (boxes[:, 0] * shape[1] + boxes[:, 1]) * shape[2] + boxes[:, 2]
    return np.where(inside, keys, -1).astype(np.int64)
