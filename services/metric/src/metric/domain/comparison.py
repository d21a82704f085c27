"""Two reports of the same run, number by number: is it reproducible?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.artifacts import MetricReport
from contracts.events.dataset import NumberCompared

from metric.domain.verdict import Outcome
from metric.domain.words import counted, listed

RELATIVE = 1e-5
# In eV or eV/Å, a thousand times as many meV. Parity points are written to 1e-6, and a prediction that is rounded the
# other way is off by that much; so is one by another number of threads.
ABSOLUTE = 2e-6
LISTED = 20
_NAMED = 3
# What says where something is, not what was found; `settings` and `seed` are the same by construction.
_NOT_COMPARED = {
    "dataset",
    "run_id",
    "pictures",
    "tables",
    "versions",
    "dataset_manifest",
    "model_manifest",
    "settings",
    # A repetition tries no training.
    "learning_gain",
}
_NAMES = ("branch", "rule", "quantity")


@dataclass(frozen=True, slots=True)
class Comparison:
    """differences: largest first, all of them; verdicts_differ: frames whose verdict is another one."""

    outcome_before: Outcome
    outcome_after: Outcome
    numbers: int
    differences: tuple[NumberCompared, ...]
    verdicts_differ: int
    texts_differ: tuple[str, ...]
    versions_changed: dict[str, str]

    @property
    def same(self) -> bool:
        return (
            self.outcome_before == self.outcome_after
            and not self.differences
            and not self.verdicts_differ
            and not self.texts_differ
        )

    @property
    def largest_relative_difference(self) -> float:
        return max((_relative(one.before, one.after) for one in self.differences), default=0.0)


def compare(before: MetricReport, after: MetricReport, outcome_before: Outcome, outcome_after: Outcome) -> Comparison:
    """Every number under its path; a number that one side lacks differs. Sentences are made of these numbers."""
    old, new = (dict(_leaves(_compared(one))) for one in (before, after))
    numbers = [path for path in old.keys() | new.keys() if _is_number(old.get(path)) or _is_number(new.get(path))]
    differences = [
        NumberCompared(name=path, before=_number(old.get(path)), after=_number(new.get(path)))
        for path in sorted(numbers)
        if not _equal(path, _number(old.get(path)), _number(new.get(path)))
    ]
    differences.sort(key=lambda one: -_relative(one.before, one.after))
    verdicts = [{(one.split, one.index): one.verdict for one in report.verdicts} for report in (before, after)]
    return Comparison(
        outcome_before=outcome_before,
        outcome_after=outcome_after,
        numbers=len(numbers),
        differences=tuple(differences),
        verdicts_differ=sum(
            verdicts[0].get(frame) != verdicts[1].get(frame) for frame in verdicts[0].keys() | verdicts[1].keys()
        ),
        texts_differ=tuple(name for name in _TEXTS if getattr(before, name) != getattr(after, name)),
        versions_changed=_changed(
            before.versions | {"device": before.device}, after.versions | {"device": after.device}
        ),
    )


_TEXTS = ("nearest_branch", "new_elements", "new_element_pairs", "dataset_content_sha256")


def in_words(found: Comparison) -> str:
    """'The same verdict and the same 1,204 numbers.', or what differs and what may be why."""
    if found.outcome_before != found.outcome_after:
        verdict = f"The verdict was “{found.outcome_before}” and is now “{found.outcome_after}”"
    elif found.verdicts_differ:
        verdict = f"The same verdict on the dataset, another one on {counted(found.verdicts_differ, 'frame')}"
    else:
        verdict = "The same verdict"
    if found.same:
        sentence = f"{verdict} and the same {counted(found.numbers, 'number')}."
    elif not found.differences:
        sentence = f"{verdict}; all {counted(found.numbers, 'number')} are the same."
    else:
        largest = found.largest_relative_difference
        named = listed([f"{one.name} ({_told(one.before)} → {_told(one.after)})" for one in found.differences[:_NAMED]])
        sentence = (
            f"{verdict}; {len(found.differences):,} of {counted(found.numbers, 'number')} differ, "
            f"by up to {100 * largest:.2g} %: {named}."
        )
    if found.texts_differ:
        sentence += f" Also another: {listed([name.replace('_', ' ') for name in found.texts_differ])}."
    if found.versions_changed:
        changes = listed([f"{name} ({change})" for name, change in sorted(found.versions_changed.items())])
        sentence += f" Changed since: {changes}."
    return sentence


def _compared(report: MetricReport) -> dict[str, Any]:
    return report.model_dump(mode="json", exclude=_NOT_COMPARED)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "index" and "split" in value:
                continue  # part of the name
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{_step(inner, number)}")
    else:
        yield path, value


def _step(value: Any, number: int) -> str:
    """Things with a name are found by it, frames by split and index: order and omissions do not shift the rest."""
    if isinstance(value, Mapping):
        if "split" in value and value["split"] is not None:
            return f"{value['split']}-{value['index']}"
        for key in _NAMES:
            if key in value:
                return str(value[key])
    return str(number)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _equal(path: str, before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    absolute = 1000 * ABSOLUTE if "_mev_" in path else ABSOLUTE
    return abs(before - after) <= max(absolute, RELATIVE * max(abs(before), abs(after)))


def _relative(before: float | None, after: float | None) -> float:
    if before is None or after is None:
        return 1.0
    size = max(abs(before), abs(after))
    return abs(before - after) / size if size else 0.0


def _told(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
