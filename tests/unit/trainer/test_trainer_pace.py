"""When training looks at its held-out frames."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer.engine.pace import PICTURE, Pace


def run(total: int, every: int, budget: float, step_seconds: float, look_seconds: float) -> tuple[list[int], float]:
    """Steps at which it looked, and the part of the training time that looking took."""
    pace, now, looks = Pace(total, every, budget, 0, 1000.0), 1000.0, []
    for step in range(1, total + 1):
        now += step_seconds
        if pace.due(step, now):
            pace.looked(step, now, now + look_seconds)
            now += look_seconds
            looks.append(step)
    return looks, pace.spent / (total * step_seconds)


def test_looks_that_cost_nothing_come_as_often_as_the_preset_says() -> None:
    assert run(100, 10, 0.02, 1, 1e-6)[0] == list(range(10, 100, 10))


def test_dear_looks_become_rare_and_keep_to_the_budget() -> None:
    looks, part = run(10_000, 50, 0.02, 0.05, 0.5)
    assert looks[0] == 50
    assert part <= 0.02
    # 500 s of training, 0.5 s a look: the budget is nearly used up.
    assert len(looks) == 19


def test_a_short_run_has_its_picture_whatever_it_costs() -> None:
    looks, part = run(100, 5, 0.02, 0.01, 10)
    assert len(looks) == PICTURE + 1 or len(looks) == PICTURE
    assert max(b - a for a, b in zip([0, *looks], [*looks, 100], strict=True)) <= 100 / (PICTURE + 1) + 1
    assert part > 0.02


@given(
    total=st.integers(20, 5000),
    every=st.integers(1, 200),
    look=st.floats(1e-3, 5),
    step=st.floats(1e-3, 1),
)
def test_beyond_the_picture_the_budget_is_never_overdrawn(total: int, every: int, look: float, step: float) -> None:
    looks, part = run(total, every, 0.02, step, look)
    assert all(b - a >= every for a, b in pairwise(looks))
    assert part <= 0.02 or len(looks) <= PICTURE + 1


def test_an_attempt_that_resumes_counts_from_where_it_began() -> None:
    pace = Pace(100, 10, 0.02, 60, 0.0)
    assert not pace.due(65, 100.0)
    assert pace.due(70, 100.0)


@pytest.mark.parametrize("step", [100, 101])
def test_the_last_look_is_the_ends_own(step: int) -> None:
    assert not Pace(100, 10, 1, 0, 0.0).due(step, 1000.0)
