"""Labels are judged one by one."""

from typing import Any

import numpy as np
import pytest
from frames.frame import Frame
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
        # Of 10 Å³, but nothing on the grid on which frames are compared.
        ({"cell": np.diag([1e-5, 1e3, 1e3])}, "bad-cell", "volume"),
        ({"cell": np.array([[1, 0, 0], [1e3, 1e-5, 0], [0, 0, 1e3]])}, "bad-cell", "volume"),
        ({"cell": np.diag([1e7, 1.0, 1.0])}, "bad-cell", "volume"),
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
