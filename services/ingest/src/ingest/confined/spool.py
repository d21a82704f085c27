"""Frames on their way from a parsing child to the assembling one: length-prefixed msgpack, read with suspicion.

Never pickle: what a child wrote after reading a stranger's file is as trustworthy as that file.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import IO, Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
from frames import hashing
from frames.frame import SYMBOLS, FloatArray, Frame

from ingest.confined.judging import all_finite
from ingest.confined.outputs import write

_LENGTH = struct.Struct("<Q")
_MAX_RECORD = 1 << 31
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
        self._unhashed: list[Frame] = []
        self.offset = self.count = 0

    def put(self, frame: Frame) -> None:
        """Append one frame, without its source: whoever reads the spool knows it better."""
        record = _packed(frame)
        self._packed += record
        self._unhashed.append(frame)
        self.offset += len(record)
        self.count += 1
        if len(self._packed) >= _PIECE:
            self.flush()

    def flush(self) -> None:
        """Everything that was put is in the files afterwards. Raises OSError."""
        self._digests += b"".join(hashing.frame_hashes(self._unhashed))
        self._unhashed.clear()
        for file, kept in ((self._spool, self._packed), (self._hashes, self._digests)):
            write(file, kept)
            kept.clear()


def _packed(frame: Frame) -> bytes:
    record = {
        "numbers": frame.numbers.astype("<i8").tobytes(),
        "coords": frame.coords.astype("<f8").tobytes(),
        "cell": None if frame.cell is None else frame.cell.astype("<f8").tobytes(),
        "energy": float(frame.energy),
        "forces": frame.forces.astype("<f8").tobytes(),
        "virial": None if frame.virial is None else frame.virial.astype("<f8").tobytes(),
        "index": frame.index,
        "converged": frame.converged,
    }
    packed = bytes(msgpack.packb(record, use_bin_type=True))
    return _LENGTH.pack(len(packed)) + packed


def frames(spool: IO[bytes], start: int, end: int, source: str, wanted: Sequence[bool]) -> Iterator[Frame]:
    """Of the frames that lie in [start, end) those that are wanted, one flag a frame. Raises SpoolBroken."""
    spool.seek(start)
    position = start
    for keep in wanted:
        raw = spool.read(_LENGTH.size)
        length = _LENGTH.unpack(raw)[0] if len(raw) == _LENGTH.size else _MAX_RECORD
        if length >= _MAX_RECORD or position + _LENGTH.size + length > end:
            raise SpoolBroken(f"record of {length} bytes at {position} does not fit")
        position += _LENGTH.size + length
        if not keep:
            spool.seek(position)
            continue
        try:
            yield _frame(msgpack.unpackb(spool.read(length)), source)
        except (TypeError, KeyError, ValueError, msgpack.UnpackException) as error:
            raise SpoolBroken(f"record before {position}: {error}") from error


def _frame(record: dict[str, Any], source: str) -> Frame:
    numbers = np.frombuffer(record["numbers"], "<i8").astype(np.int64)
    natoms = len(numbers)
    if natoms == 0 or numbers.min() < 1 or numbers.max() > len(SYMBOLS):
        raise ValueError("atomic numbers out of range")
    frame = Frame(
        numbers=numbers,
        coords=_array(record["coords"], natoms),
        cell=None if record["cell"] is None else _array(record["cell"], 3),
        energy=float(record["energy"]),
        forces=_array(record["forces"], natoms),
        virial=None if record["virial"] is None else _array(record["virial"], 3),
        source=source,
        index=int(record["index"]),
        converged=None if record["converged"] is None else bool(record["converged"]),
    )
    if not np.isfinite(frame.energy):
        raise ValueError("energy is not finite")
    return frame


def _array(data: bytes, rows: int) -> FloatArray:
    array = np.frombuffer(data, "<f8").astype(np.float64, copy=False).reshape(rows, 3)
    if not all_finite(array):
        raise ValueError("a number is not finite")
    return array
