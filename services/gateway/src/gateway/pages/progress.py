"""The Progress line of a dataset: what each stage's mark shows."""

from dataclasses import dataclass
from typing import Literal

from gateway.views.datasets import DatasetView, Stage

StepState = Literal["done", "active", "todo", "stopped", "skipped"]
ORDER: tuple[Stage, ...] = ("submit", "check", "queue", "train", "done")

# Contributions that ended before a model: the stage that ended them, and what became of the last mark.
_ENDINGS: dict[str, tuple[Stage, StepState, StepState]] = {
    "rejected": ("submit", "stopped", "skipped"),
    "covered": ("check", "done", "done"),
    "not-sound": ("check", "stopped", "skipped"),
    "failed": ("train", "stopped", "skipped"),
    "withheld": ("train", "done", "stopped"),
    "shared": ("submit", "done", "done"),
    "withdrawn": ("submit", "done", "stopped"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage. `fraction` 0..1 of the work done, or None where nobody can tell."""

    key: Stage
    state: StepState
    fraction: float | None = None


def steps(dataset: DatasetView) -> tuple[Step, ...]:
    """All five stages in order."""
    if dataset.state == "published":
        return tuple(Step(key, "done") for key in ORDER)
    ending = _ENDINGS.get(dataset.state) or _ENDINGS.get(dataset.verdict or "")
    if dataset.stage == "done" and ending is not None:
        return _ended(*ending)
    reached = ORDER.index(dataset.stage)
    fraction = None
    if dataset.reading is not None and dataset.reading.calculations:
        fraction = min(1.0, dataset.reading.parsed / dataset.reading.calculations)
    if dataset.stage == "train" and dataset.training is not None:
        fraction = min(1.0, dataset.training.step / dataset.training.total_steps)
    return tuple(
        Step(key, "done" if place < reached else "active" if place == reached else "todo", fraction)
        for place, key in enumerate(ORDER)
    )


def _ended(last: Stage, its_state: StepState, final: StepState) -> tuple[Step, ...]:
    end = ORDER.index(last)
    before = [Step(key, "done") for key in ORDER[:end]]
    after = [Step(key, "skipped") for key in ORDER[end + 1 : -1]]
    return (*before, Step(last, its_state), *after, Step("done", final))
