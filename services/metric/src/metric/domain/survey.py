"""All frames of a dataset under the rules that need no model."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from contracts.base import RuleResult
from frames.frame import SYMBOLS, FloatArray, Frame, formula

from metric.domain import checks
from metric.domain.checks import Finding, Measures, check_frame, where
from metric.domain.limits import Limits
from metric.domain.outliers import energy_finding, energy_residuals
from metric.domain.words import counted, percent, significant

Split = Literal["train", "held-out"]


@dataclass(slots=True)
class Surveyed:
    """What is kept of one frame: enough to sample and to judge without holding its arrays."""

    split: Split
    index: int
    name: str
    formula: str
    energy: float
    measures: Measures
    findings: list[Finding] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(finding.level == "fail" for finding in self.findings)

    @property
    def impossible(self) -> bool:
        """Atoms overlap or the cell is flat: no model can say anything about it."""
        return any(one.rule == checks.MIN_DISTANCE and one.level == "fail" for one in self.findings)


@dataclass(frozen=True, slots=True)
class Survey:
    frames: list[Surveyed]
    elements: tuple[str, ...]
    checks: tuple[RuleResult, ...]

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.frames)

    def failures(self) -> Counter[str]:
        """Rule → frames that it failed."""
        return Counter(
            rule for one in self.frames for rule in {found.rule for found in one.findings if found.level == "fail"}
        )


def survey(frames: Iterable[tuple[Split, int, Frame]], limits: Limits) -> Survey:
    """Check every frame; memory does not hold the frames themselves. Raises ValueError for none."""
    seen: list[Surveyed] = []
    rows: dict[str, FloatArray] = {}
    for split, index, frame in frames:
        measures, findings = check_frame(frame, limits)
        composition = formula(frame.numbers)
        rows.setdefault(composition, np.bincount(frame.numbers - 1, minlength=len(SYMBOLS)).astype(np.float64))
        seen.append(Surveyed(split, index, where(frame), composition, frame.energy, measures, findings))
    if not seen:
        raise ValueError("a dataset without frames cannot be judged")
    residuals = _energy_outliers(seen, rows, limits)
    present = np.flatnonzero(np.any(list(rows.values()), axis=0))
    return Survey(seen, tuple(SYMBOLS[number] for number in present), _checks(seen, residuals, limits))


def _energy_outliers(seen: Sequence[Surveyed], rows: dict[str, FloatArray], limits: Limits) -> FloatArray:
    used = np.flatnonzero(np.any(list(rows.values()), axis=0))
    counts = np.array([rows[one.formula][used] for one in seen])
    found = energy_residuals(counts, np.array([one.energy for one in seen]))
    for one, residual, z in zip(seen, found.residual, found.robust_z, strict=True):
        finding = energy_finding(one.name, float(residual), float(z), limits)
        if finding is not None:
            one.findings.append(finding)
    return found.residual


def _checks(seen: Sequence[Surveyed], residuals: FloatArray, limits: Limits) -> tuple[RuleResult, ...]:
    """One result a rule: how many frames failed and warned, the worst, and the limits."""
    ratios = [one.measures.closest_ratio for one in seen if one.measures.closest_ratio is not None]
    virials = [one.measures.virial_asymmetry for one in seen if one.measures.virial_asymmetry is not None]
    worst_force = max(one.measures.max_force_ev_per_angstrom for one in seen)
    worst_net = max(one.measures.net_force_mev_per_angstrom for one in seen)
    worst_energy = float(np.abs(residuals).max())
    results = [
        _summary(
            checks.FORCE_CAP,
            seen,
            f"the largest force is {significant(worst_force)} eV/Å, "
            f"the limit {significant(limits.force_fail_ev_per_angstrom)} eV/Å",
            {
                "largest_ev_per_angstrom": worst_force,
                "fails_above_ev_per_angstrom": limits.force_fail_ev_per_angstrom,
            },
        ),
        _summary(
            checks.MIN_DISTANCE,
            seen,
            f"the closest atoms are {significant(min(ratios))} of the sum of their covalent radii apart, "
            f"the limit is {significant(limits.distance_fail_ratio)}"
            if ratios
            else f"no two atoms are closer than {significant(limits.distance_warn_ratio)} of the sum of their "
            f"covalent radii, the limit is {significant(limits.distance_fail_ratio)}",
            {"fails_below_of_covalent_radii": limits.distance_fail_ratio}
            | ({"smallest_of_covalent_radii": min(ratios)} if ratios else {}),
        ),
        _summary(
            checks.NET_FORCE,
            seen,
            f"the largest net force is {significant(worst_net)} meV/Å per atom, "
            f"the limit {significant(limits.net_force_fail_mev_per_angstrom)} meV/Å",
            {
                "largest_mev_per_angstrom_per_atom": worst_net,
                "fails_above_mev_per_angstrom_per_atom": limits.net_force_fail_mev_per_angstrom,
            },
        ),
        _summary(
            checks.ENERGY_OUTLIER,
            seen,
            f"energies leave the fit on composition by at most {significant(worst_energy)} eV/atom, "
            f"the limit is {significant(limits.energy_fail_ev_per_atom)} eV/atom",
            {
                "largest_residual_ev_per_atom": worst_energy,
                "fails_above_ev_per_atom": limits.energy_fail_ev_per_atom,
            },
        ),
    ]
    if virials:
        text = f"‖W − Wᵀ‖ is at most {significant(max(virials))} of ‖W‖, the limit {limits.virial_fail_ratio:g}"
        numbers = {"largest_ratio": max(virials), "fails_above_ratio": limits.virial_fail_ratio}
        results.append(_summary(checks.VIRIAL_SYMMETRY, seen, text, numbers))
    return tuple(results)


def _summary(rule: str, seen: Sequence[Surveyed], worst: str, numbers: dict[str, float]) -> RuleResult:
    levels = [{found.level for found in one.findings if found.rule == rule} for one in seen]
    failed = sum("fail" in level for level in levels)
    warned = sum("warn" in level for level in levels)
    if failed:
        verdict = f"{counted(failed, 'frame')} of {len(seen):,} ({percent(failed / len(seen))}) set aside"
    else:
        verdict = f"all {counted(len(seen), 'frame')} kept"
    remark = f", {counted(warned, 'frame')} with a warning" if warned else ""
    return RuleResult(
        rule=rule,
        passed=failed == 0,
        sentence=f"{verdict}{remark}: {worst}.",
        numbers={**numbers, "failed_frames": float(failed), "warned_frames": float(warned)},
    )
