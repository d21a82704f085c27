"""What the Progress line shows for each state that a contribution can be in."""

from typing import Any, TypeVar, cast

import pytest
from contracts.base import Frozen
from gateway.pages.progress import steps
from gateway.views.datasets import DatasetView, ReadingView, TrainingView

View = TypeVar("View", bound=Frozen)


def part_of(kind: type[View], **known: Any) -> View:
    """A view of which only these members matter."""
    return cast("View", kind.model_construct(**known))


TRAINING = part_of(TrainingView, step=450, total_steps=900)


def states(stage: str, state: str, verdict: str | None = None, training: TrainingView | None = None) -> list[str]:
    view = part_of(DatasetView, stage=stage, state=state, verdict=verdict, training=training)
    return [step.state for step in steps(view)]


@pytest.mark.parametrize(
    ("stage", "state", "verdict", "shown"),
    [
        ("submit", "uploaded", None, "active todo todo todo todo"),
        ("check", "validated", None, "done active todo todo todo"),
        ("check", "checking", None, "done active todo todo todo"),
        ("queue", "passed", "passed", "done done active todo todo"),
        ("train", "training", "passed", "done done done active todo"),
        ("done", "published", "passed", "done done done done done"),
        ("done", "rejected", "rejected", "stopped skipped skipped skipped skipped"),
        ("done", "not-passed", "covered", "done done skipped skipped done"),
        ("done", "not-passed", "not-sound", "done stopped skipped skipped skipped"),
        ("done", "withheld", "passed", "done done done done stopped"),
        ("done", "failed", "passed", "done done done stopped skipped"),
    ],
)
def test_marks(stage: str, state: str, verdict: str | None, shown: str) -> None:
    assert states(stage, state, verdict, TRAINING) == shown.split()


def test_only_reading_and_training_tell_how_far_they_are() -> None:
    view = part_of(DatasetView, stage="train", state="training", verdict="passed", training=TRAINING)
    assert [step.fraction for step in steps(view)][3] == 0.5
    view = part_of(DatasetView, stage="check", state="checking", verdict=None, training=None)
    assert {step.fraction for step in steps(view)} == {None}
    reading = part_of(ReadingView, calculations=1000, parsed=312)
    view = part_of(DatasetView, stage="submit", state="uploaded", verdict=None, training=None, reading=reading)
    assert steps(view)[0].fraction == 0.312
    unpacking = part_of(ReadingView, calculations=0, parsed=0)
    view = part_of(DatasetView, stage="submit", state="uploaded", verdict=None, training=None, reading=unpacking)
    assert steps(view)[0].fraction is None
