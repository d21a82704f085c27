"""Frames on their way from a parsing child to the assembling one: records of numbers, read with suspicion.

Never pickle: what a child wrote after reading a stranger's file is as trustworthy as that file.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from math import isfinite
from typing import IO

import numpy as np
from frames import hashing
from frames.frame import SYMBOLS, Frame, IntArray
from numpy.typing import NDArray

from ingest.confined.judging import MOST_ATOMS, all_finite
from ingest.confined.outputs import write

# Atoms; which of cell and virial there are; whether converged; index in the file; energy. Numbers and arrays follow.
_HEADER = struct.Struct("<IBBHqd")
_CELL, _VIRIAL = 1, 2
_CONVERGED = (None, False, True)
_PIECE = 1 << 20


class SpoolBroken(ValueError):
    """Not what a parsing child of ours writes."""


class Spooler:
    """Writes frames and their hashes into two files of their own, in large pieces.

    `offset` and `count` say where the next frame goes: its first byte in the spool, its row among the hashes.
    """

    def __init__(self, spool: IO[bytes], hashes: IO[bytes]) -> None:
        self._spool, self._hashes = spool, hashes
        self._packed, self._digests = bytearray(), bytearray()
        self.offset = self.count = 0

    def put(self, frames: Sequence[Frame]) -> list[int]:
        """Append frames, without their sources: whoever reads the spool knows them better. Returns where each ends."""
        packed = [_packed(list(alike)) for _, alike in groupby(frames, key=_layout)]
        self._packed += b"".join(records.tobytes() for records in packed)
        self._digests += b"".join(hashing.frame_hashes(frames))
        self.count += len(frames)
        ends: list[int] = []
        for records in packed:
            size = records.itemsize
            ends += range(self.offset + size, self.offset + records.nbytes + 1, size)
            self.offset = ends[-1]
        if len(self._packed) >= _PIECE:
            self.flush()
        return ends

    def flush(self) -> None:
        """Everything that was put is in the files afterwards. Raises OSError."""
        for file, kept in ((self._spool, self._packed), (self._hashes, self._digests)):
            write(file, kept)
            kept.clear()


def _layout(frame: Frame) -> tuple[int, int]:
    return frame.natoms, (frame.cell is not None) * _CELL + (frame.virial is not None) * _VIRIAL


@lru_cache(maxsize=256)
def _record(natoms: int, kind: int) -> np.dtype[np.void]:
    """A header, atomic numbers, and the arrays that there are."""
    header = [("natoms", "<u4"), ("kind", "u1"), ("converged", "u1"), ("", "<u2"), ("index", "<i8"), ("energy", "<f8")]
    arrays = [("numbers", "<i8", (natoms,)), ("coords", "<f8", (natoms, 3)), ("forces", "<f8", (natoms, 3))]
    cells = [(name, "<f8", (3, 3)) for name, bit in (("cell", _CELL), ("virial", _VIRIAL)) if kind & bit]
    return np.dtype([*header, *arrays, *cells])


def _packed(frames: list[Frame]) -> NDArray[np.void]:
    """Of frames with one layout, [k]."""
    natoms, kind = _layout(frames[0])
    records = np.zeros(len(frames), dtype=_record(natoms, kind))
    records["natoms"], records["kind"] = natoms, kind
    records["converged"] = [_CONVERGED.index(frame.converged) for frame in frames]
    for name in ("index", "energy", "numbers", "coords", "forces"):
        records[name] = [getattr(frame, name) for frame in frames]
    if kind & _CELL:
        records["cell"] = [frame.cell for frame in frames]
    if kind & _VIRIAL:
        records["virial"] = [frame.virial for frame in frames]
    return records


def frames(spool: IO[bytes], start: int, end: int, source: str, wanted: Sequence[bool]) -> Iterator[Frame]:
    """Of the frames that lie in [start, end) those that are wanted, one flag a frame. Raises SpoolBroken."""
    spool.seek(start)
    position = start
    for keep in wanted:
        header = spool.read(_HEADER.size)
        natoms, kind = _HEADER.unpack(header)[:2] if len(header) == _HEADER.size else (0, 0)
        length = _HEADER.size + 8 * (7 * natoms + 9 * (kind & _CELL) + 9 * (kind & _VIRIAL) // _VIRIAL)
        if not 0 < natoms <= MOST_ATOMS or kind > _CELL + _VIRIAL or position + length > end:
            raise SpoolBroken(f"a record of {natoms} atoms at {position} does not fit")
        position += length
        if not keep:
            spool.seek(position)
            continue
        content = spool.read(length - _HEADER.size)
        if len(content) < length - _HEADER.size:
            raise SpoolBroken(f"the record before {position} breaks off")
        yield _frame(header, content, source, position)


@lru_cache(maxsize=16)
def _atomic_numbers(raw: bytes) -> IntArray:
    """Kept for the next frames, which mostly have the same atoms. Raises SpoolBroken."""
    numbers = np.frombuffer(raw, "<i8").astype(np.int64, copy=False)
    if numbers.min() < 1 or numbers.max() > len(SYMBOLS):
        raise SpoolBroken("atomic numbers are out of range")
    return numbers


def _frame(header: bytes, content: bytes, source: str, position: int) -> Frame:
    natoms, kind, converged, _, index, energy = _HEADER.unpack(header)
    values = np.frombuffer(content, "<f8", offset=8 * natoms).astype(np.float64, copy=False)
    if converged >= len(_CONVERGED) or not isfinite(energy) or not all_finite(values):
        raise SpoolBroken(f"record before {position}: a number is not finite")
    after = 6 * natoms
    return Frame(
        numbers=_atomic_numbers(content[: 8 * natoms]),
        coords=values[: 3 * natoms].reshape(natoms, 3),
        cell=values[after : after + 9].reshape(3, 3) if kind & _CELL else None,
        energy=energy,
        forces=values[3 * natoms : after].reshape(natoms, 3),
        virial=values[-9:].reshape(3, 3) if kind & _VIRIAL else None,
        source=source,
        index=index,
        converged=_CONVERGED[converged],
    )
