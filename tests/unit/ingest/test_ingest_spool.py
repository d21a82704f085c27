"""Frames between two children: what is put comes back, and what is not ours is refused."""

import io
import struct
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from frames.frame import Frame
from frames.hashing import frame_hash
from ingest.confined import spool


def frame(**changes: Any) -> Frame:
    fields: dict[str, Any] = {
        "numbers": np.array([8, 1, 1]),
        "coords": np.arange(9.0).reshape(3, 3),
        "cell": np.eye(3) * 9,
        "energy": -1.5,
        "forces": np.ones((3, 3)),
        "virial": np.eye(3),
        "index": 4,
    }
    return Frame(**fields | changes)


def put(*frames: Frame) -> tuple[bytes, bytes, list[int]]:
    """(spool, hashes, where each frame ends)"""
    spooled, hashes = io.BytesIO(), io.BytesIO()
    spooler = spool.Spooler(spooled, hashes)
    ends = [0]
    for one in frames:
        spooler.put(one)
        ends.append(spooler.offset)
    assert spooler.count == len(frames)
    spooler.flush()
    return spooled.getvalue(), hashes.getvalue(), ends


def test_frames_come_back_from_anywhere_in_the_spool() -> None:
    made = [frame(energy=float(n), cell=None if n else np.eye(3), virial=None, converged=bool(n)) for n in range(3)]
    data, hashes, ends = put(*made)
    (second,) = spool.frames(io.BytesIO(data), ends[1], ends[2], "a/b.out", [True])
    assert (second.energy, second.source, second.index, second.cell) == (1.0, "a/b.out", 4, None)
    some = spool.frames(io.BytesIO(data), 0, ends[3], "x", [True, False, True])
    assert [(one.energy, one.converged) for one in some] == [(0.0, False), (2.0, True)]
    assert hashes == b"".join(frame_hash(one) for one in made)


def test_a_spool_is_written_in_pieces(tmp_path: Path) -> None:
    """An unbuffered file may take less than it is given."""
    large = frame(
        numbers=np.ones(40_000, dtype=np.int64), coords=np.zeros((40_000, 3)), forces=np.zeros((40_000, 3)), index=0
    )
    with (
        (tmp_path / "spool").open("wb", buffering=0) as spooled,
        (tmp_path / "hashes").open("wb", buffering=0) as digests,
    ):
        spooler = spool.Spooler(spooled, digests)
        spooler.put(large)
        written = (tmp_path / "spool").stat().st_size
        assert written == spooler.offset > 2 * 40_000 * 24
        spooler.put(frame())
        assert (tmp_path / "spool").stat().st_size == written
        spooler.flush()
    assert (tmp_path / "spool").stat().st_size == spooler.offset
    assert (tmp_path / "hashes").stat().st_size == 64


def record(**changes: Any) -> bytes:
    fields = msgpack.unpackb(put(frame())[0][8:]) | changes
    packed = bytes(msgpack.packb(fields))
    return struct.pack("<Q", len(packed)) + packed


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04cos\nsystem\n",
        struct.pack("<Q", 1 << 62) + b"x",
        struct.pack("<Q", 3) + b"\xc1\xc1\xc1",
        record(numbers=np.array([200], "<i8").tobytes()),
        record(numbers=np.array([0, 1, 1], "<i8").tobytes()),
        record(energy=float("nan")),
        record(forces=np.full(9, np.inf).tobytes()),
        record(coords=np.zeros(6).tobytes()),
        record(cell=[1, 2, 3]),
        msgpack.packb([1]),
    ],
)
def test_a_spool_that_is_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(spool.SpoolBroken):
        list(spool.frames(io.BytesIO(data), 0, len(data), "x", [True]))


def test_a_spool_with_fewer_frames_than_were_told_is_refused() -> None:
    data, _, ends = put(frame(), frame())
    with pytest.raises(spool.SpoolBroken):
        list(spool.frames(io.BytesIO(data), 0, ends[1], "x", [True, True]))
