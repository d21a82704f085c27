"""What agrees with what is published, and what does not."""

from pathlib import Path

import pytest
from dpa.claims import (
    BASELINE_ENERGY,
    BASELINE_FORCE,
    ENERGIES,
    ENERGY,
    FORCE,
    THRESHOLD,
    Claim,
    Measured,
    agree,
    compared,
    overall,
)

NUMBERS = {ENERGY: 4.8201, FORCE: 131.195, THRESHOLD: 0.44, BASELINE_ENERGY: 200.0, BASELINE_FORCE: 1256.0}


def claim(changed: dict[str, float | None] | None = None, frames: int = 8) -> Claim:
    return Claim("silicon", Path("held-out.lmdb"), (), {"Si": -107.5}, {**NUMBERS, **(changed or {})}, frames)


@pytest.mark.parametrize(
    ("published", "found", "same"),
    [
        (131.195, 131.2, True),
        (131.195, 131.4, False),
        (0.005, 0.012, True),
        (0.005, 0.05, False),
        (1, float("nan"), False),
    ],
)
def test_an_rmse_may_differ_in_its_fourth_digit(published: float, found: float, same: bool) -> None:
    assert agree(published, found, FORCE) is same


def test_a_threshold_has_its_own_small_unit() -> None:
    assert not agree(0.05, 0.055, THRESHOLD)
    assert agree(0.05, 0.050004, THRESHOLD)


def test_every_number_is_looked_at() -> None:
    found = compared(claim(), Measured("silicon", 8, dict(NUMBERS), {"Si": -107.5}))
    assert [one.what for one in found] == [*(f"silicon.{name}" for name in NUMBERS), f"silicon.{ENERGIES}.Si"]
    assert {one.state for one in found} == {"matches"}


def test_one_wrong_number_is_named() -> None:
    found = compared(claim({FORCE: 130.0}), Measured("silicon", 8, dict(NUMBERS)))
    assert [(one.what, one.published, one.found) for one in found if one.state == "differs"] == [
        ("silicon.force_rmse_mev_per_angstrom", 130.0, 131.195)
    ]


def test_other_frames_are_told() -> None:
    (first, *_) = compared(claim(frames=9), Measured("silicon", 8, dict(NUMBERS)))
    assert (first.what, first.state, first.published, first.found) == ("silicon.frames", "differs", 9, 8)


def test_what_one_side_lacks_is_neither_right_nor_wrong() -> None:
    found = {one.what: one for one in compared(claim({THRESHOLD: None}), Measured("silicon", 8, {FORCE: 131.195}))}
    assert found["silicon.threshold_ev_per_angstrom"].why == "it is not published"
    assert found["silicon.energy_rmse_mev_per_atom"].state == "not-rederived"
    assert found["silicon.force_rmse_mev_per_angstrom"].state == "matches"


def test_the_score_of_all_branches_is_one_for_the_baseline_itself() -> None:
    itself = Measured("a", 1, {ENERGY: 7, FORCE: 11, BASELINE_ENERGY: 7, BASELINE_FORCE: 11})
    assert overall([itself, itself]) == pytest.approx(1)
    quarter = Measured("b", 1, {ENERGY: 7 / 4, FORCE: 11 / 9, BASELINE_ENERGY: 7, BASELINE_FORCE: 11})
    assert overall([itself, quarter]) == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_without_a_baseline_there_is_no_score() -> None:
    assert overall([Measured("a", 1, {ENERGY: 7, FORCE: 11, BASELINE_FORCE: 11})]) is None
    assert overall([]) is None
