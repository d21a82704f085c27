"""What must have come true. Each condition says what it found when it did not."""

from collections.abc import Iterator
from dataclasses import dataclass

from potluck.resources import Dataset, Model

from onemachine.demo.archives import NAN_FRAME, TRUNCATED_FRAME
from onemachine.demo.outcome import Outcome

HALVED = 0.5
COVERED_FROM = 0.90
DAMAGED_FRAMES = 2


@dataclass(frozen=True, slots=True)
class Condition:
    """One promise of the demo, and whether it was kept. `found`: what there is instead, for one that was not."""

    label: str
    promise: str
    kept: bool
    found: str


def judge(outcome: Outcome) -> list[Condition]:
    """All conditions of contributions a–d. A contribution that is missing keeps none."""
    rules = {"a": _grows_the_model, "b": _is_covered, "c": _is_read_without_the_damage, "d": _is_rejected}
    found: list[Condition] = []
    for label, rule in rules.items():
        dataset = outcome.datasets.get(label)
        if dataset is None:
            found.append(Condition(label, "it was contributed", False, "it never was"))
            continue
        found += [
            Condition(label, promise, kept, "" if kept else seen) for promise, kept, seen in rule(dataset, outcome)
        ]
    return found


Found = Iterator[tuple[str, bool, str]]


def _grows_the_model(dataset: Dataset, outcome: Outcome) -> Found:
    yield "it passed", dataset.verdict == "passed", f"its verdict is {dataset.verdict}"
    yield "model 1.1 is published with it", dataset.model == "1.1", f"state {dataset.state}, model {dataset.model}"
    model = next((one for one in outcome.models if one.version == "1.1"), None)
    if model is None:
        versions = ", ".join(one.version for one in outcome.models)
        yield "model 1.1 is in the list", False, f"there are {versions or 'none'}"
        return
    yield "it grew from 1.0", model.parent == "1.0", f"its parent is {model.parent}"
    trained = {row.id for row in model.datasets if row.new}
    yield "it is linked to the dataset", trained == {dataset.id}, f"its new datasets are {trained}"
    credited = set(dataset.authors) <= set(model.contributors)
    yield "and to its contributor", credited, f"its contributors are {model.contributors}"
    before = dataset.metric.force_rmse_zero_shot_mev_per_angstrom if dataset.metric else None
    after = dataset.training.force_rmse_after_mev_per_angstrom if dataset.training else None
    halved = before is not None and after is not None and after <= HALVED * before
    yield "force RMSE at least halved", halved, f"{before} → {after} meV/Å"
    yield from _can_be_taken_home(model, outcome)


def _can_be_taken_home(model: Model, outcome: Outcome) -> Found:
    kinds = {file.kind for file in model.files}
    yield "checkpoint and frozen branch are among its files", {"checkpoint", "frozen"} <= kinds, f"there are {kinds}"
    fetched = {path.name for path in outcome.downloaded}
    wanted = {file.name for file in model.files}
    yield "they download with the right SHA-256", bool(wanted) and fetched == wanted, f"missing: {wanted - fetched}"


def _is_covered(dataset: Dataset, outcome: Outcome) -> Found:
    metric = dataset.metric
    yield "not passed: covered", dataset.verdict == "covered", f"state {dataset.state}, verdict {dataset.verdict}"
    coverage = metric.coverage if metric else None
    yield "by at least 90 %", coverage is not None and coverage >= COVERED_FROM, f"coverage {coverage}"
    pictures = outcome.pictures.get("b", {})
    drawn = bool(pictures) and all(pictures.values())
    yield "with pictures", drawn, f"bytes of each: { {name: len(data) for name, data in pictures.items()} }"
    yield "an entry all the same", dataset.id in outcome.listed, "it is not in the list of datasets"


def _is_read_without_the_damage(dataset: Dataset, outcome: Outcome) -> Found:
    found = dataset.ingest
    if found is None:
        reason = dataset.message.reason if dataset.message else ""
        yield "it was validated", False, f"state {dataset.state} {reason}"
        return
    for frame, what in ((TRUNCATED_FRAME, "the truncated calculation"), (NAN_FRAME, "the NaN force")):
        about = [one for one in found.set_aside if frame in one.path]
        told = bool(about) and all(one.reason for one in about)
        yield f"{what} is set aside by path and reason", told, f"set aside: {[one.path for one in found.set_aside]}"
    only = found.set_aside_count == DAMAGED_FRAMES
    yield "nothing else is", only, f"{found.set_aside_count} set aside, {found.frames} frames read"
    yield "it came to an end", dataset.finished, f"state {dataset.state}"


def _is_rejected(dataset: Dataset, outcome: Outcome) -> Found:
    yield "rejected", dataset.verdict == "rejected", f"state {dataset.state}, verdict {dataset.verdict}"
    message = dataset.message
    told = message is not None and bool(message.reason and message.remedy)
    yield "with a message that says what to do", told, f"message {message}"
