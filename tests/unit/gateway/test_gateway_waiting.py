"""How long a check will take: from the runs there were, for one worker and for several."""

from datetime import UTC, datetime, timedelta

import pytest
from gateway.entries.waiting import Range, Run, Waiting, at_once, ranges, rounded

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def run(begin: float, seconds: float, frames: int) -> Run:
    """Began so many seconds before NOW."""
    started = NOW - timedelta(seconds=begin)
    return Run(started, started + timedelta(seconds=seconds), frames)


def one_after_the_other(*seconds_and_frames: tuple[float, int]) -> list[Run]:
    runs, begin = [], 100_000.0
    for seconds, frames in seconds_and_frames:
        runs.append(run(begin, seconds, frames))
        begin -= seconds + 1
    return runs


STEADY = one_after_the_other(*[(100.0, 100)] * 5)


def one(line: list[Waiting], runs: list[Run], place: int = -1) -> Range:
    found = ranges(line, runs, NOW)[place]
    assert found is not None
    return found


def test_nothing_is_said_when_nothing_is_known() -> None:
    assert ranges([Waiting(100)], [], NOW) == [None]
    assert ranges([Waiting(None), Waiting(100)], STEADY, NOW)[0] is None
    assert ranges([], STEADY, NOW) == []


def test_the_next_in_line_takes_as_long_as_a_run() -> None:
    found = one([Waiting(100)], STEADY)
    assert found.low <= 100 <= found.high
    assert found == Range(60, 180)


def test_each_one_ahead_adds_a_run() -> None:
    alone, third = one([Waiting(100)], STEADY), one([Waiting(100)] * 3, STEADY)
    assert third.low == pytest.approx(3 * 75, abs=60)
    assert third.high == pytest.approx(3 * 150, abs=60)
    assert third.low > alone.low


def test_larger_datasets_take_longer_where_runs_say_so() -> None:
    runs = one_after_the_other((20, 100), (40, 300), (110, 1000), (60, 500))
    small, large = one([Waiting(100)], runs), one([Waiting(5000)], runs)
    assert small.low <= 20 <= small.high
    assert large.low <= 510 <= large.high
    assert small.high < large.low


def test_runs_of_one_size_leave_open_whether_size_matters() -> None:
    found = one([Waiting(1000)], STEADY)
    assert found.low <= 100
    assert found.high >= 1000


def test_a_run_under_way_has_the_rest_to_go() -> None:
    started = Waiting(100, NOW - timedelta(seconds=60))
    found = ranges([started, Waiting(100)], STEADY, NOW)
    assert found[0] == Range(0, 120)
    assert found[1] is not None
    assert found[1].high == pytest.approx(90 + 150, abs=60)


def test_a_run_that_takes_longer_than_any_is_not_said_to_be_done() -> None:
    stuck = Waiting(100, NOW - timedelta(hours=2))
    found = ranges([stuck, Waiting(100)], STEADY, NOW)
    assert found[0] is not None
    assert found[0].high > 0
    assert found[1] is not None
    assert found[1].high >= 150


def test_two_checks_at_once_are_two_workers() -> None:
    busy = [Waiting(100, NOW), Waiting(100, NOW)]
    with_two = one([*busy, Waiting(100), Waiting(100)], STEADY)
    with_one = one([busy[0], Waiting(100), Waiting(100), Waiting(100)], STEADY)
    assert with_two.high < with_one.high
    assert with_two.high == pytest.approx(300, abs=60)


def test_runs_that_overlapped_say_how_fast_it_may_go_at_best() -> None:
    side_by_side = [run(1000, 100, 100), run(990, 100, 100), run(980, 100, 100)]
    assert at_once(side_by_side) == 3
    assert at_once(STEADY) == 1
    three = one([Waiting(100)] * 3, side_by_side)
    assert three.low == 60
    assert three.high == pytest.approx(450, abs=60)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(12, 31, (10, 35)), (0, 3, (0, 5)), (70, 200, (60, 240)), (100, 100, (60, 120)), (2000, 9000, (1800, 9000))],
)
def test_steps_that_a_person_would_say(low: float, high: float, expected: tuple[float, float]) -> None:
    assert rounded(low, high) == Range(*expected)
    assert rounded(low, high).low < rounded(low, high).high
