"""All frames of a dataset under the rules that need no model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from contracts.base import RuleResult
from frames.frame import Frame

from metric.domain import checks
from metric.domain.checks import Finding, Level, Measures, describe, measure
from metric.domain.levels import FAILED, WARNED, Levels, levels, worst
from metric.domain.limits import Limits
from metric.domain.origin import UNKNOWN_ORIGIN, Origin
from metric.domain.outliers import energy_finding, energy_residuals
from metric.domain.records import SPLITS, Records, Split, record
from metric.domain.summaries import summaries


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One frame of a survey: `position` in the dataset, `index` in its split."""

    position: int
    split: Split
    index: int
    name: str
    formula: str
    energy: float
    measures: Measures
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        return any(finding.level == "fail" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Survey:
    """levels: rule → level of each frame; worst: of all rules. Both uint8 [F], see `levels`."""

    records: Records
    limits: Limits
    levels: dict[str, Levels]
    worst: Levels
    checks: tuple[RuleResult, ...]

    @property
    def frames(self) -> "SurveyedFrames":
        """Made when they are looked at: memory holds their numbers only."""
        return SurveyedFrames(self)

    @property
    def elements(self) -> tuple[str, ...]:
        return self.records.elements

    @property
    def failed(self) -> int:
        return int((self.worst == FAILED).sum())

    def failures(self) -> Counter[str]:
        """Rule → frames that it failed."""
        counts = {rule: int((found == FAILED).sum()) for rule, found in self.levels.items()}
        return Counter({rule: count for rule, count in counts.items() if count})

    def possible(self) -> list[int]:
        """Positions of the frames that a model can be held against."""
        return [int(one) for one in np.flatnonzero(self.levels[checks.MIN_DISTANCE] != FAILED)]


class SurveyedFrames(Sequence[Surveyed]):
    """The frames of a survey in the order of the dataset."""

    def __init__(self, found: Survey) -> None:
        self._survey = found

    def __len__(self) -> int:
        return len(self._survey.records)

    def __iter__(self) -> Iterator[Surveyed]:
        return (self._one(position) for position in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Surveyed: ...
    @overload
    def __getitem__(self, which: slice) -> list[Surveyed]: ...
    def __getitem__(self, which: int | slice) -> Surveyed | list[Surveyed]:
        positions = range(len(self))[which]
        return self._one(positions) if isinstance(positions, int) else [self._one(one) for one in positions]

    def _one(self, position: int) -> Surveyed:
        records = self._survey.records
        row = records.rows[position]
        name, measures = records.name(position), records.measures(position)
        return Surveyed(
            position=position,
            split=SPLITS[row["split"]],
            index=int(row["index"]),
            name=name,
            formula=records.formulas[row["formula"]],
            energy=float(row["energy_ev"]),
            measures=measures,
            findings=tuple(self._findings(position, name, measures)),
        )

    def _findings(self, position: int, name: str, measures: Measures) -> Iterator[Finding]:
        row, limits = self._survey.records.rows[position], self._survey.limits
        for rule, found in self._survey.levels.items():
            if found[position] < WARNED:
                continue
            level: Level = "fail" if found[position] == FAILED else "warn"
            if rule == checks.ENERGY_OUTLIER:
                yield energy_finding(level, name, float(row["residual_ev_per_atom"]), float(row["robust_z"]), limits)
            else:
                yield describe(rule, level, name, measures, limits)


def survey(frames: Iterable[tuple[Split, int, Frame]], limits: Limits, origin: Origin = UNKNOWN_ORIGIN) -> Survey:
    """Check every frame; memory does not hold the frames themselves. Raises ValueError for none."""
    records = record((split, index, frame, measure(frame, limits)) for split, index, frame in frames)
    if not len(records):
        raise ValueError("a dataset without frames cannot be judged")
    rows = records.rows
    used = np.flatnonzero(records.counts.any(axis=0))
    found = energy_residuals(records.counts[:, used], rows["formula"], rows["energy_ev"])
    rows["residual_ev_per_atom"], rows["robust_z"] = found.residual, found.robust_z
    by_rule = levels(records, limits)
    return Survey(records, limits, by_rule, worst(by_rule), summaries(records, by_rule, limits, origin))
