"""Labels are judged one by one; the spool between children believes nothing."""

import io
import struct
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from frames.frame import Frame
from ingest.confined import spool
from ingest.confined.judging import Raw, Unfit, atomic_numbers, frame


def raw(**changes: Any) -> Raw:
    good: dict[str, Any] = {
        "symbols": ["O", "H", "H"],
        "coords": np.arange(9.0).reshape(3, 3),
        "cell": np.eye(3) * 5,
        "energy": -10.0,
        "forces": np.zeros((3, 3)),
        "virial": np.eye(3),
    }
    return Raw(**(good | changes))


def judged(**changes: Any) -> Frame:
    one = raw(**changes)
    return frame(one, atomic_numbers(one.symbols), 4)


def test_a_good_frame_passes_unchanged() -> None:
    good = judged()
    assert good.numbers.tolist() == [8, 1, 1]
    assert (good.energy, good.index) == (-10.0, 4)
    assert judged(cell=None, virial=None).cell is None


@pytest.mark.parametrize(
    ("changes", "rule", "word"),
    [
        ({"energy": None}, "no-energy", "energy"),
        ({"forces": None}, "no-forces", "forces"),
        ({"energy": float("nan")}, "not-finite", "energy"),
        ({"forces": np.full((3, 3), np.inf)}, "not-finite", "forces: 9 of 9"),
        ({"coords": np.array([[np.nan, 0, 0], [0, 0, 0], [0, 0, 0]])}, "not-finite", "positions: 1 of 9"),
        ({"virial": np.full(9, np.nan)}, "not-finite", "virial"),
        ({"forces": np.zeros((2, 3))}, "wrong-shape", "6 numbers where 9"),
        ({"coords": [["a", 0, 0]] * 3}, "not-a-number", "positions"),
        ({"cell": np.zeros((3, 3))}, "bad-cell", "volume"),
        ({"symbols": []}, "no-atoms", "no atoms"),
    ],
)
def test_what_does_not_join_and_why(changes: dict[str, Any], rule: str, word: str) -> None:
    with pytest.raises(Unfit) as unfit:
        judged(**changes)
    assert unfit.value.rule == rule
    assert word in unfit.value.reason
    assert unfit.value.remedy


def test_kinds_count_as_their_element() -> None:
    assert atomic_numbers(["Fe1", "O_d", "H-ghost", "Si", "cl", "Og"]).tolist() == [26, 8, 1, 14, 17, 118]
    for name in ("Xx", "1", "TYPE_0x"[4:]):
        with pytest.raises(Unfit, match="is no element"):
            atomic_numbers([name])


def test_the_spool_gives_back_what_was_put() -> None:
    stream = io.BytesIO()
    ends = [0]
    for index in range(3):
        spool.put(stream, judged(energy=float(index), cell=None if index else np.eye(3), virial=None))
        ends.append(stream.tell())
    (second,) = spool.frames(stream, ends[1], ends[2], "a/b.out")
    assert (second.energy, second.source, second.index, second.cell) == (1.0, "a/b.out", 4, None)
    assert [one.energy for one in spool.frames(stream, 0, ends[3], "x")] == [0.0, 1.0, 2.0]


def record(**changes: Any) -> bytes:
    stream = io.BytesIO()
    spool.put(stream, judged())
    fields = msgpack.unpackb(stream.getvalue()[8:]) | changes
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
        list(spool.frames(io.BytesIO(data), 0, len(data), "x"))
