"""What makes two frames the same: composition, cell and positions on a grid of 1e-4 Å, in any atom order."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

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
# Part of a lattice vector below the origin where cells begin: where sites of symmetry are not, nor most atoms.
_BEGIN = 0.0123456789


def frame_hash(frame: Frame) -> bytes:
    """SHA-256 (32 bytes) of the structure alone: labels do not enter.

    Invariant under the order of atoms and, for periodic frames, under moving atoms by lattice vectors.
    """
    return frame_hashes([frame])[0]


def frame_hashes(frames: Sequence[Frame]) -> list[bytes]:
    """The `frame_hash` of each; many frames of one size at once take a fraction of the time."""
    alike: dict[tuple[int, bool], list[int]] = {}
    for place, frame in enumerate(frames):
        alike.setdefault((frame.natoms, frame.cell is None), []).append(place)
    hashes = [b""] * len(frames)
    for places in alike.values():
        for place, hashed in zip(places, _alike_hashed([frames[place] for place in places]), strict=True):
            hashes[place] = hashed
    return hashes


def _alike_hashed(frames: list[Frame]) -> Iterator[bytes]:
    """Of frames with equally many atoms, all with a cell or all without."""
    numbers = np.array([frame.numbers for frame in frames], dtype=np.int64)
    coords = np.array([frame.coords for frame in frames])
    cells = [frame.cell for frame in frames if frame.cell is not None]
    if cells:
        lattices = np.array(cells)
        kind, cell = b"periodic", _on_grid(lattices / GRID_ANGSTROM)
        grid = _lattice_grid(_in_cell(coords, lattices), cell)
    else:
        kind, cell = b"open", np.zeros((len(frames), 0, 3), dtype=np.int64)
        grid = _on_grid(coords / GRID_ANGSTROM)
    rows = np.concatenate([numbers[..., np.newaxis], grid], axis=-1)
    order = np.lexsort(np.moveaxis(rows, -1, 0)[::-1])
    rows = np.take_along_axis(rows, order[..., np.newaxis], axis=1)
    for box, atoms in zip(cell.astype("<i8"), rows.astype("<i8"), strict=True):
        yield hashlib.sha256(kind + box.tobytes() + atoms.tobytes()).digest()


def _on_grid(values: FloatArray) -> IntArray:
    return np.floor(values + _OFFSET).astype(np.int64)


def _in_cell(coords: FloatArray, cells: FloatArray) -> FloatArray:
    """Positions, moved by the cells' own vectors into one copy of them, [frames, n, 3].

    The cell on the grid is another by up to 1e-4 Å: by as much, times the vectors between, would copies differ there.
    """
    copies = np.floor(coords @ np.linalg.inv(cells) + _BEGIN)
    return np.asarray(coords - copies @ cells, dtype=np.float64)


def _lattice_grid(coords: FloatArray, cell: IntArray) -> IntArray:
    """Positions as integer steps of 1e-4 Å along each lattice vector, modulo the vector's length, [frames, n, 3].

    The cell is taken on the grid, so that cells equal to 1e-4 Å divide space alike.
    """
    vectors = cell * GRID_ANGSTROM
    fractional = np.linalg.solve(vectors.swapaxes(1, 2), coords.swapaxes(1, 2)).swapaxes(1, 2)
    steps = np.maximum(1, np.rint(np.linalg.norm(cell, axis=2))).astype(np.int64)[:, np.newaxis]
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
