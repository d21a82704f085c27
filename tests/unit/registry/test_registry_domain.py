"""Versions, fences in words, retries."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.rounds import Decision, Round, RoundState, Version, may_retry, settled, stale

NUMBERS = st.integers(0, 10**6)
ROUND = Round(
    round_id=uuid4(),
    sequence=1,
    state=RoundState.TRAINING,
    parent_version="1.0",
    preset="laptop",
    total_steps=100,
    seed=7,
    traceparent=None,
    fence=3,
    worker="one",
    failures=0,
    outages=0,
    divergences=0,
    step=0,
    reported_step=None,
    reason=None,
    model_version=None,
    planned_at=datetime.now(UTC),
    ended_at=None,
)


def test_versions_start_at_one_and_growth_raises_the_minor() -> None:
    assert str(Version.after(None)) == "1.0"
    assert str(Version.after("1.0")) == "1.1"
    assert str(Version.after("1.9")) == "1.10"
    assert str(Version.after("2.0")) == "2.1"


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_versions_order_as_numbers_and_survive_text(major: int, minor: int, other: int, another: int) -> None:
    one, two = Version(major, minor), Version(other, another)
    assert Version.parse(str(one)) == one
    assert (one < two) == ((major, minor) < (other, another))


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.0.0", "v1.0", "1.-1", "latest", "1.²"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version"):
        Version.parse(text)


@pytest.mark.parametrize(
    ("round_", "fence", "why"),
    [
        (ROUND, 2, "fence 2 was superseded by 3"),
        (ROUND, 4, "fence 4 was never given out"),
        (replace(ROUND, state=RoundState.WAITING), 3, "lost or given back"),
        (replace(ROUND, state=RoundState.FAILED), 3, "the round has ended: failed"),
    ],
)
def test_a_stale_fence_says_why_and_what_to_do(round_: Round, fence: int, why: str) -> None:
    text = str(stale(round_, fence))
    assert why in text
    assert str(round_.round_id) in text
    assert "drop this round and lease again" in text


def test_only_the_fence_that_submitted_hears_the_decision_again() -> None:
    published = replace(ROUND, state=RoundState.PUBLISHED, model_version="1.1")
    assert settled(published, 3) == Decision(True, "1.1")
    assert settled(published, 2) is None
    assert settled(replace(ROUND, state=RoundState.WITHHELD), 3) == Decision(False, None)
    for undecided in (RoundState.WAITING, RoundState.TRAINING, RoundState.FAILED):
        assert settled(replace(ROUND, state=undecided), 3) is None


def test_retries_end() -> None:
    assert [may_retry(failures, 3) for failures in (1, 2, 3)] == [True, True, False]
    assert not may_retry(1, 3, retryable=False)


def test_training_that_diverged_is_tried_once_more_and_slower() -> None:
    assert [may_retry(1, 3, divergences=times) for times in (0, 1, 2)] == [True, True, False]
    # Who would be blamed is heard: outages and other failures are counted apart, and each ends the round in time.
    blaming = partial(may_retry, max_attempts=3, blames=True)
    assert [blaming(failures=count, outages=count - 1) for count in (1, 2, 3, 4)] == [True, True, True, False]
    assert [blaming(failures=4, outages=outages) for outages in (1, 2)] == [False, True]
    assert not blaming(failures=1, outages=1, retryable=False)
    assert [replace(ROUND, divergences=times).learning_rate_factor for times in (0, 1)] == [1.0, 0.5]
