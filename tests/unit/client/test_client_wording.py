"""What a person reads about a dataset is true and has units."""

import pytest
from potluck import wording
from potluck.resources import Dataset, HeldUp, Metric, QueuePlace


def dataset(state: str, stage: str, **more: object) -> Dataset:
    return Dataset(id="d", name="SiC", state=state, stage=stage, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "stage", "line"),
    [
        ("uploaded", "submit", "Submit ●  Check  Queue  Train  Done"),
        ("checking", "check", "Submit ✓  Check ●  Queue  Train  Done"),
        ("training", "train", "Submit ✓  Check ✓  Queue ✓  Train ●  Done"),
        ("published", "done", "Submit ✓  Check ✓  Queue ✓  Train ✓  Done ✓"),
        ("withheld", "done", "Submit ✓  Check ✓  Queue ✓  Train ✓  Done ✓"),
        ("not-passed", "done", "Submit ✓  Check ✓  Queue –  Train –  Done ✓"),
        ("rejected", "done", "Submit ✓  Check ✓  Queue –  Train –  Done ✓"),
    ],
)
def test_stages_that_never_came_are_not_ticked(state: str, stage: str, line: str) -> None:
    assert wording.stage_line(dataset(state, stage)) == line


def test_a_row_of_a_table_is_short() -> None:
    reasons = "The model knows this already. " * 10
    known = dataset("not-passed", "done", verdict="covered", metric=Metric(coverage=0.957, sentence=reasons))
    assert wording.brief(known) == "not passed: covered (96% of the frames are known)"
    waiting = dataset("passed", "queue", metric=Metric(coverage=0.0, sentence=reasons))
    assert wording.brief(waiting) == "passed; waits for a round of training"
    assert reasons in wording.headline(waiting)


def test_the_place_in_the_queue_is_told_when_somebody_is_before() -> None:
    third = dataset("uploaded", "submit", queue=QueuePlace(position=3, ahead=2))
    assert wording.headline(third) == "the archive has arrived; place 3 in the queue"
    first = dataset("uploaded", "submit", queue=QueuePlace(position=1, ahead=0))
    assert wording.headline(first) == "the archive has arrived; it waits to be read"


@pytest.mark.parametrize(("value", "words"), [(2429.8, "2,430"), (12.4, "12"), (9.87, "9.9"), (0.0, "0"), (None, "–")])
def test_millielectronvolts_have_the_digits_they_deserve(value: float | None, words: str) -> None:
    assert wording.mev(value) == words


@pytest.mark.parametrize(("seconds", "words"), [(40.2, "40 s"), (100, "2 min"), (7200, "2.0 h")])
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


def test_what_is_held_up_says_that_nothing_is_lost() -> None:
    waiting = dataset("checking", "check", held_up=HeldUp(reason="the disk"))
    assert "nothing is lost: the disk" in wording.headline(waiting)
