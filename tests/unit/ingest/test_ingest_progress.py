"""Numbers of progress and the time that is left, on a clock of the test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest.domain import Progress
from ingest.progress import Meter, remaining


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_steps_and_numbers_of_a_reading() -> None:
    told: list[Progress] = []
    clock = Clock()
    meter = Meter(told.append, clock)
    meter.step("unpacking", 10)
    meter.step("finding", 25)
    meter.found(8)
    clock.now += 0.5
    meter.parsing(2, 40, 1, 0.25)
    assert told[-1] == Progress("parsing", files=25, calculations=8, parsed=2, frames=40, set_aside=1)
    clock.now += 1.5
    meter.parsing(4, 80, 1, 0.5)
    # Two seconds more of parsing, and a quarter of the four seconds in all for assembling.
    assert told[-1].eta_seconds == pytest.approx(3.0)
    meter.step("assembling")
    assert told[-1] == Progress("assembling", files=25, calculations=8, parsed=4, frames=80, set_aside=1)
    clock.now += 2
    meter.assembling(0.8)
    assert told[-1].eta_seconds == pytest.approx(0.5)


def test_nothing_is_guessed_too_early() -> None:
    assert remaining(0.9, 0.9) is None
    assert remaining(60.0, 0.01) is None
    assert remaining(10.0, 0.1) == pytest.approx(90.0)


@given(elapsed=st.floats(0, 1e6), fraction=st.floats(0, 1))
def test_what_is_left_is_never_negative(elapsed: float, fraction: float) -> None:
    left = remaining(elapsed, fraction)
    assert left is None or left >= 0
