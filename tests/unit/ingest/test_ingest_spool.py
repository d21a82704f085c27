"""Frames between two children: what is put comes back, and what is not ours is refused."""

import io
import struct
from pathlib import Path
from typing import Any

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
    ends += spooler.put(frames)
    assert (spooler.count, spooler.offset) == (len(frames), ends[-1])
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
        spooler.put([large])
        written = (tmp_path / "spool").stat().st_size
        assert written == spooler.offset > 2 * 40_000 * 24
        spooler.put([frame()])
        assert (tmp_path / "spool").stat().st_size == written
        spooler.flush()
    assert (tmp_path / "spool").stat().st_size == spooler.offset
    assert (tmp_path / "hashes").stat().st_size == 64


def changed(at: int, *, with_: bytes) -> bytes:
    """One record of three atoms with other bytes in one place: after 24 of header, numbers, coords, forces, cell."""
    data = put(frame())[0]
    return data[:at] + with_ + data[at + len(with_) :]


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04cos\nsystem\n",
        b"\x80\x04cos\nsystem\n" * 20,
        changed(0, with_=struct.pack("<I", 0)),
        changed(0, with_=struct.pack("<I", 4)),
        changed(0, with_=struct.pack("<I", 0xFFFFFFFF)),
        changed(4, with_=b"\x07"),
        changed(5, with_=b"\x03"),
        changed(16, with_=struct.pack("<d", float("nan"))),
        changed(24, with_=struct.pack("<q", 200)),
        changed(24, with_=struct.pack("<q", 0)),
        changed(48, with_=struct.pack("<d", float("inf"))),
        changed(24 + 24 + 72, with_=struct.pack("<d", float("nan"))),
        put(frame())[0][:-1],
    ],
)
def test_a_spool_that_is_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(spool.SpoolBroken):
        list(spool.frames(io.BytesIO(data), 0, len(data), "x", [True]))


def test_a_spool_with_fewer_frames_than_were_told_is_refused() -> None:
    data, _, ends = put(frame(), frame())
    with pytest.raises(spool.SpoolBroken):
        list(spool.frames(io.BytesIO(data), 0, ends[1], "x", [True, True]))
