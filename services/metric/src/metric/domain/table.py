"""The table of a run: a row a frame, with everything that was measured and decided about it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from contracts.artifacts import FrameVerdict
from frames.frame import FloatArray
from numpy.typing import NDArray

from metric.domain import checks
from metric.domain.levels import FAILED, WARNED
from metric.domain.records import SPLITS, Records
from metric.domain.survey import Survey

Kind = Literal["text", "whole", "number", "truth"]
Cell = str | int | float | bool | None
NOT_SAMPLED = "not-sampled"
_ROWS_AT_ONCE = 8192
_LEVELS = ("pass", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Column:
    """The unit is in the name too, as one word; `unit` is as people write it."""

    name: str
    kind: Kind
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model said, by position in the dataset; NaN and None where it said nothing.

    verdict  [F] 'covered', 'useful', 'suspect', 'failed', or 'not-sampled': no rule broken, not held against the model
    covered  int8 [F], −1 for none
    """

    verdict: NDArray[np.object_]
    covered: NDArray[np.int8]
    force_error_ev_per_angstrom: FloatArray
    energy_error_mev_per_atom: FloatArray
    descriptor_distance: FloatArray
    threshold_ev_per_angstrom: float | None
    nearest_branch: str | None


def by_position(
    survey: Survey, verdicts: Sequence[FrameVerdict], threshold_ev_per_angstrom: float | None, nearest: str | None
) -> Judged:
    """Spread the verdicts of a report over all frames; those that it does not name have what the survey says."""
    frames = len(survey.records)
    verdict = np.full(frames, NOT_SAMPLED, dtype=object)
    verdict[survey.worst == WARNED] = "suspect"
    verdict[survey.worst == FAILED] = "failed"
    covered = np.full(frames, -1, dtype=np.int8)
    force, energy, distance = (np.full(frames, np.nan) for _ in range(3))
    for position, one in zip(_positions(survey.records, verdicts), verdicts, strict=True):
        verdict[position] = one.verdict
        covered[position] = -1 if one.covered is None else one.covered
        force[position] = _nan(one.max_force_error_ev_per_angstrom)
        energy[position] = _nan(one.energy_error_mev_per_atom)
        distance[position] = _nan(one.descriptor_distance)
    return Judged(verdict, covered, force, energy, distance, threshold_ev_per_angstrom, nearest)


def _positions(records: Records, verdicts: Sequence[FrameVerdict]) -> NDArray[np.int64]:
    codes = records.rows["split"].astype(np.int64) << 32 | records.rows["index"]
    order = np.argsort(codes)
    wanted = np.array([SPLITS.index(one.split) << 32 | one.index for one in verdicts], dtype=np.int64)
    return np.asarray(order[np.searchsorted(codes, wanted, sorter=order)], dtype=np.int64)


def _nan(value: float | None) -> float:
    return np.nan if value is None else value


@dataclass(frozen=True, slots=True)
class Table:
    """`blocks` yields rows as columns, a bounded number at a time: each has one list of cells a column."""

    columns: tuple[Column, ...]
    blocks: Callable[[], Iterator[list[list[Cell]]]]


Fill = Callable[[slice], list[Cell]]


def table(survey: Survey, judged: Judged) -> Table:
    """Every frame in the order of the dataset. An empty cell: not there, or not asked."""
    filled = [*_frame(survey.records), *_verdict(survey, judged), *_rules(survey)]
    frames = len(survey.records)

    def blocks() -> Iterator[list[list[Cell]]]:
        for start in range(0, frames, _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, frames))
            yield [fill(rows) for _, fill in filled]

    return Table(tuple(column for column, _ in filled), blocks)


def _frame(records: Records) -> list[tuple[Column, Fill]]:
    rows = records.rows
    splits, sources, formulas = SPLITS, records.sources, records.formulas
    return [
        (
            Column("split", "text", "", "train or held-out: which of the two files of the dataset"),
            lambda at: [splits[one] for one in rows["split"][at]],
        ),
        (Column("index", "whole", "", "from 0, in that file"), lambda at: rows["index"][at].tolist()),
        (
            Column("source", "text", "", "path inside the archive that was uploaded"),
            lambda at: [sources[one] for one in rows["source"][at]],
        ),
        (Column("frame", "whole", "", "from 0, in that source"), lambda at: rows["number"][at].tolist()),
        (
            Column("formula", "text", "", "composition, by atomic number"),
            lambda at: [formulas[one] for one in rows["formula"][at]],
        ),
        (Column("atoms", "whole", "", "how many"), lambda at: rows["natoms"][at].tolist()),
        (
            Column("energy_ev", "number", "eV", "as reported, of the whole frame"),
            lambda at: _cells(rows["energy_ev"][at]),
        ),
    ]


def _verdict(survey: Survey, judged: Judged) -> list[tuple[Column, Fill]]:
    held = judged.covered >= 0
    return [
        (
            Column(
                "verdict",
                "text",
                "",
                "failed: a rule set it aside; suspect: a rule warned; covered: the model knows it; useful: it can "
                "learn from it; not-sampled: no rule broken, and not among the frames that the model predicted",
            ),
            lambda at: judged.verdict[at].tolist(),
        ),
        (
            Column("covered", "truth", "", "whether the largest force error is within the nearest branch's threshold"),
            lambda at: [None if one < 0 else bool(one) for one in judged.covered[at]],
        ),
        (
            Column(
                "nearest_branch",
                "text",
                "",
                "of those that know the dataset's elements best, the one of smallest force RMSE",
            ),
            lambda at: [judged.nearest_branch if one else None for one in held[at]],
        ),
        (
            Column("max_force_error_ev_per_angstrom", "number", "eV/Å", "zero-shot, the largest ‖ΔF‖ of an atom"),
            lambda at: _cells(judged.force_error_ev_per_angstrom[at]),
        ),
        (
            Column("covered_up_to_ev_per_angstrom", "number", "eV/Å", "the nearest branch's conformal threshold"),
            lambda at: [judged.threshold_ev_per_angstrom if one else None for one in held[at]],
        ),
        (
            Column(
                "energy_error_mev_per_atom",
                "number",
                "meV/atom",
                "zero-shot, predicted less reported after one shift an element",
            ),
            lambda at: _cells(judged.energy_error_mev_per_atom[at]),
        ),
        (
            Column(
                "descriptor_distance", "number", "", "to the nearest training frame, in units of their usual distance"
            ),
            lambda at: _cells(judged.descriptor_distance[at]),
        ),
    ]


def _rules(survey: Survey) -> list[tuple[Column, Fill]]:
    rows, limits = survey.records.rows, survey.limits

    def constant(name: str, unit: str, description: str, value: float) -> tuple[Column, Fill]:
        return Column(name, "number", unit, description), lambda at: [value] * (at.stop - at.start)

    def number(name: str, unit: str, description: str, field: str) -> tuple[Column, Fill]:
        return Column(name, "number", unit, description), lambda at: _cells(rows[field][at])

    def graded(
        rule: str, field: str, unit: str, word: str, description: str, sense: str, warn: float, fail: float
    ) -> list[tuple[Column, Fill]]:
        name = rule.replace("-", "_")
        applies = ~np.isnan(rows[field]) if rule == checks.VIRIAL_SYMMETRY else np.True_
        return [
            number(f"{name}_{word}", unit, description, field),
            _level(name, survey.levels[rule], np.broadcast_to(applies, len(rows))),
            constant(f"{name}_warns_{sense}_{word}", unit, f"threshold of {rule}", warn),
            constant(f"{name}_fails_{sense}_{word}", unit, f"threshold of {rule}", fail),
        ]

    return [
        *graded(
            checks.FORCE_CAP, "force_ev_per_angstrom", "eV/Å", "ev_per_angstrom", "largest force on an atom", "above",
            limits.force_warn_ev_per_angstrom, limits.force_fail_ev_per_angstrom,
        ),
        *graded(
            checks.MIN_DISTANCE, "closest_ratio", "r_i + r_j", "of_covalent_radii",
            "closest pair of atoms; empty: none closer than the warning", "below",
            limits.distance_warn_ratio, limits.distance_fail_ratio,
        ),
        *graded(
            checks.NET_FORCE, "net_force_mev_per_angstrom", "meV/Å per atom", "mev_per_angstrom_per_atom",
            "‖sum of forces‖ per atom", "above",
            limits.net_force_warn_mev_per_angstrom, limits.net_force_fail_mev_per_angstrom,
        ),
        number("energy_outlier_ev_per_atom", "eV/atom", "what the fit on composition leaves", "residual_ev_per_atom"),
        number("energy_outlier_robust_z", "", "the same in robust standard deviations of the dataset", "robust_z"),
        _level("energy_outlier", survey.levels[checks.ENERGY_OUTLIER], np.broadcast_to(np.True_, len(rows))),
        constant(
            "energy_outlier_warns_above_robust_z", "", "threshold of energy-outlier", limits.energy_warn_robust_z
        ),
        constant(
            "energy_outlier_fails_above_ev_per_atom", "eV/atom", "threshold of energy-outlier",
            limits.energy_fail_ev_per_atom,
        ),
        *graded(
            checks.VIRIAL_SYMMETRY, "virial_asymmetry", "", "ratio", "‖W − Wᵀ‖/‖W‖; empty: no virial", "above",
            limits.virial_warn_ratio, limits.virial_fail_ratio,
        ),
        (
            Column("scf_converged", "truth", "", "as the source file says; empty: it does not tell"),
            lambda at: [None if one < 0 else bool(one) for one in rows["converged"][at]],
        ),
        _level("scf_converged", survey.levels[checks.SCF_CONVERGED], rows["converged"] >= 0, otherwise="unknown"),
        (
            Column("duplicates_elsewhere", "truth", "", "another dataset of the platform holds the same structure"),
            lambda at: rows["known"][at].tolist(),
        ),
        _level("duplicates", survey.levels[checks.DUPLICATES], np.broadcast_to(np.True_, len(rows))),
    ]  # fmt: skip


def _level(
    name: str, found: NDArray[np.uint8], applies: NDArray[np.bool_], otherwise: str | None = None
) -> tuple[Column, Fill]:
    column = Column(f"{name}_level", "text", "", "pass, warn or fail; unknown or empty: not asked of this frame")
    return column, lambda at: [
        _LEVELS[level] if asked else otherwise for level, asked in zip(found[at], applies[at], strict=True)
    ]


def _cells(values: FloatArray) -> list[Cell]:
    return [None if np.isnan(value) else value for value in values.tolist()]
