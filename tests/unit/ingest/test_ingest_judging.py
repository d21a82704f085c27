"""Labels are judged one by one, or many together, which is the same."""

from typing import Any

import numpy as np
import pytest
from frames.frame import Frame
from ingest.confined.judging import Candidate, Raw, Unfit, atomic_numbers, frame, frames


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


def mixed() -> list[Raw]:
    """Sizes, cells and labels of all kinds, turned or not, among them what is refused for each reason."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(120):
        natoms = int(rng.integers(1, 4))
        cell = rng.normal(0, 2, (3, 3)) + 7 * np.eye(3)[rng.permutation(3)]
        made.append(
            raw(
                symbols=["O"] * natoms,
                coords=rng.normal(0, 3, (natoms, 3)),
                cell=None if number % 7 == 0 else np.tril(np.abs(cell)) + np.eye(3) if number % 5 == 0 else cell,
                forces=rng.normal(0, 1, (natoms, 3)),
                virial=None if number % 3 == 0 else rng.normal(0, 4, (3, 3)),
                energy=float(rng.normal(-9, 1)),
                turn=number % 2 == 0,
            )
        )
    refused: tuple[dict[str, Any], ...] = (
        {"energy": None},
        {"forces": None},
        {"energy": "x"},
        {"cell": np.zeros((3, 3))},
        {"cell": np.zeros((3, 3)), "turn": True},
        {"virial": np.full((3, 3), np.nan)},
        {"forces": np.zeros((2, 3))},
        {"symbols": []},
        {"converged": False},
        {"coords": np.arange(9.0)},
        {"energy": 10**400},
    )
    for place, changes in enumerate(refused):
        made.insert(11 * place, raw(**changes))
    return made


def test_many_frames_are_judged_as_each_alone() -> None:
    """To the last bit: datasets are named by their content, and what is read together is chance."""
    candidates = [Candidate(one, atomic_numbers(one.symbols), index) for index, one in enumerate(mixed())]
    together = frames(candidates)
    assert sum(isinstance(one, Unfit) for one in together) == 10
    for candidate, found in zip(candidates, together, strict=True):
        (alone,) = frames([candidate])
        if isinstance(found, Unfit):
            assert isinstance(alone, Unfit)
            assert (found.rule, str(found), found.remedy) == (alone.rule, str(alone), alone.remedy)
        else:
            assert isinstance(alone, Frame)
            for name in ("numbers", "coords", "cell", "forces", "virial"):
                np.testing.assert_array_equal(getattr(found, name), getattr(alone, name), err_msg=name)
            assert (found.energy, found.index, found.converged) == (alone.energy, alone.index, alone.converged)


def test_a_frame_is_turned_without_a_change_of_what_it_is() -> None:
    for one in mixed():
        try:
            kept = frame(one, atomic_numbers(one.symbols), 0)
        except Unfit:
            continue
        if not one.turn or kept.cell is None:
            continue
        assert kept.cell[0, 1] == kept.cell[0, 2] == kept.cell[1, 2] == 0
        assert (np.diag(kept.cell) > 0).all()
        volume = abs(np.linalg.det(one.cell))
        np.testing.assert_allclose(np.prod(np.diag(kept.cell)), volume, rtol=1e-9)
        for mine, given in ((kept.forces, one.forces), (kept.coords, np.reshape(one.coords, (-1, 3)))):
            np.testing.assert_allclose(mine @ mine.T, given @ given.T, atol=1e-9)
        if kept.virial is not None:
            expected = one.forces @ one.virial @ one.forces.T
            np.testing.assert_allclose(kept.forces @ kept.virial @ kept.forces.T, expected, atol=1e-8)
