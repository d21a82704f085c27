"""How long until a model is there: from the rounds there were, for who is in a round and for who is in none."""

from datetime import UTC, datetime, timedelta

from gateway.entries.waiting import Range
from gateway.entries.waiting_training import OpenRound, PastRound, training_ranges

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def past(seconds: float, datasets: int = 4) -> PastRound:
    planned = NOW - timedelta(days=1)
    return PastRound(planned, planned + timedelta(seconds=seconds), datasets)


def planned(seconds_ago: float, *, held_up: bool = False) -> OpenRound:
    return OpenRound(NOW - timedelta(seconds=seconds_ago), held_up)


STEADY = [past(1200.0)] * 3


def test_nothing_is_said_when_no_round_has_ended_or_one_waits_for_a_machine() -> None:
    stuck = planned(60, held_up=True)
    assert training_ranges([None], [], [], NOW) == [None]
    assert training_ranges([None, stuck], [stuck], STEADY, NOW) == [None, None]
    assert training_ranges([None], [], [past(-5.0), past(0.0), past(100.0, datasets=0)], NOW) == [None]
    assert training_ranges([], [], STEADY, NOW) == []


def test_the_next_round_takes_as_long_as_rounds_took() -> None:
    assert training_ranges([None], [], STEADY, NOW) == [Range(900, 1800)]
    assert training_ranges([None], [], [*STEADY, past(6000.0)], NOW) == [Range(0, 7200)]


def test_a_round_under_way_comes_first() -> None:
    open_round = planned(600)
    assert training_ranges([None], [open_round], STEADY, NOW) == [Range(1200, 3000)]
    own, next_one = training_ranges([open_round, None], [open_round], STEADY, NOW)
    assert own == Range(300, 1200)
    assert next_one == Range(1200, 3000)


def test_what_does_not_fit_waits_for_a_round_more() -> None:
    found = training_ranges([None] * 5, [], STEADY, NOW)
    assert found[:4] == [Range(900, 1800)] * 4
    assert found[4] == Range(900, 3600)


def test_a_round_that_takes_longer_than_any_before_is_not_over_at_once() -> None:
    own = planned(10_000)
    assert training_ranges([own], [own], STEADY, NOW) == [Range(0, 480)]
