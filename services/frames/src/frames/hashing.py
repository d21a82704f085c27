"""What makes two frames the same: composition, cell and positions on a grid of 1e-4 Å, in any atom order."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from frames.frame import FloatArray, Frame, IntArray

GRID_ANGSTROM = 1e-4
HASH_BYTES = 32
HashArray = NDArray[np.uint8]
"""Frame hashes as rows: uint8 [n, 32]. A dataset of millions of frames is no millions of Python objects."""
# Ideal sites (a/8 and the like) would lie exactly on a grid boundary and fall to either side by rounding
# noise: the grid starts at an odd place.
_OFFSET = 0.3183098861837907


def frame_hash(frame: Frame) -> bytes:
    """SHA-256 (32 bytes) of the structure alone: labels do not enter.

    Invariant under the order of atoms and, for periodic frames, under moving atoms by lattice vectors.
    """
    numbers = frame.numbers.astype(np.int64)
    if frame.cell is None:
        cell = np.zeros((0, 3), dtype=np.int64)
        grid = _on_grid(frame.coords / GRID_ANGSTROM)
    else:
        cell = _on_grid(frame.cell / GRID_ANGSTROM)
        grid = _lattice_grid(frame.coords, cell)
    rows = np.column_stack([numbers, grid])
    rows = rows[np.lexsort(rows.T[::-1])]
    digest = hashlib.sha256(b"periodic" if frame.cell is not None else b"open")
    digest.update(cell.astype("<i8").tobytes())
    digest.update(rows.astype("<i8").tobytes())
    return digest.digest()


def _on_grid(values: FloatArray) -> IntArray:
    return np.floor(values + _OFFSET).astype(np.int64)


def _lattice_grid(coords: FloatArray, cell: IntArray) -> IntArray:
    """Positions as integer steps of 1e-4 Å along each lattice vector, modulo the vector's length.

    The cell is taken on the grid, so that cells equal to 1e-4 Å divide space alike.
    """
    vectors = cell * GRID_ANGSTROM
    fractional = np.linalg.solve(vectors.T, coords.T).T
    steps = np.maximum(1, np.rint(np.linalg.norm(cell, axis=1))).astype(np.int64)
    return np.asarray(np.mod(_on_grid(fractional * steps), steps), dtype=np.int64)


def hash_array(hashes: Iterable[bytes]) -> HashArray:
    """Hashes of 32 bytes each as rows. Raises ValueError for other lengths."""
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, HASH_BYTES)


def ascending(hashes: HashArray) -> IntArray:
    """Indices that sort the rows as bytes; equal rows keep their order."""
    words = np.ascontiguousarray(hashes).view(">u8")
    order: IntArray = np.lexsort([words[:, column].astype(np.uint64) for column in range(words.shape[1])][::-1])
    return order


def first_of_each(hashes: HashArray) -> NDArray[np.bool_]:
    """True where a row comes for the first time, [n]."""
    first = np.ones(len(hashes), dtype=np.bool_)
    order = ascending(hashes)
    again = (hashes[order[1:]] == hashes[order[:-1]]).all(axis=1)
    first[order[1:][again]] = False
    return first


def content_sha256(hashes: Iterable[bytes] | HashArray) -> str:
    """Hash over frame hashes in any order: equal content, equal hash. Lower-case hex."""
    rows = hashes if isinstance(hashes, np.ndarray) else hash_array(hashes)
    return hashlib.sha256(rows[ascending(rows)].tobytes()).hexdigest()
