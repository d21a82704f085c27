"""Sound? New? Two answers in the contributor's words, and the one outcome that follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.base import RuleResult

from metric.domain import checks
from metric.domain.coverage import BranchJudgement
from metric.domain.limits import Limits
from metric.domain.survey import Survey
from metric.domain.words import counted, listed, percent, significant

Outcome = Literal["passed", "covered", "not-sound"]

_REMEDIES = {
    checks.FORCE_CAP: "recompute or leave out structures that are far from any that occur, and check the force unit",
    checks.MIN_DISTANCE: "leave out structures whose atoms overlap, and check the length unit and the cell",
    checks.NET_FORCE: "converge the forces more tightly (denser grid, higher cutoff, stricter SCF), and upload the "
    "forces of all atoms",
    checks.ENERGY_OUTLIER: "leave out calculations that did not converge or ended in another electronic state",
    checks.VIRIAL_SYMMETRY: "check how the virial was read, or upload without it",
    checks.SCF_CONVERGED: "run the calculations on until the self-consistency converges, or leave them out",
}
_LABEL_REMEDY = "Correct this and upload it again; nothing else has to change."


@dataclass(frozen=True, slots=True)
class Judged:
    """What the answers are made of. `branches` is empty without a model or when no frame could be predicted.

    with_new_elements  of the judged frames, how many hold an element that the model has never seen
    distrusted         something speaks against the labels
    """

    model_version: str | None
    frames_judged: int
    branches: Sequence[BranchJudgement]
    nearest: BranchJudgement | None
    new_elements: tuple[str, ...]
    with_new_elements: int
    distrusted: bool


def sound(survey: Survey, against: Sequence[RuleResult], limits: Limits) -> RuleResult:
    """At most `max_failed_fraction` of the frames fail, and nothing speaks against the labels."""
    total, failed = len(survey.frames), survey.failed
    fraction = failed / total
    few = fraction <= limits.max_failed_fraction
    numbers = {
        "frames": float(total),
        "failed_frames": float(failed),
        "failed_fraction": fraction,
        "at_most_failed_fraction": limits.max_failed_fraction,
    }
    if against:
        told = " ".join(one.sentence for one in against)
        return RuleResult(
            rule="sound", passed=False, sentence=f"{told} {_LABEL_REMEDY}", numbers=numbers | against[0].numbers
        )
    if few:
        kept = "Every frame passes" if failed == 0 else f"{counted(failed, 'frame')} of {total:,} set aside"
        sentence = f"{kept}; up to {percent(limits.max_failed_fraction)} may fail a check."
        return RuleResult(rule="sound", passed=True, sentence=sentence, numbers=numbers)
    causes = survey.failures().most_common()
    named = listed([f"{counted(count, 'frame')} by {rule}" for rule, count in causes])
    remedies = "; ".join(_REMEDIES[rule] for rule, _ in causes)
    sentence = (
        f"{counted(failed, 'frame')} of {total:,} ({percent(fraction)}) fail a check, and at most "
        f"{percent(limits.max_failed_fraction)} may: {named}. What to do: {remedies}."
    )
    return RuleResult(rule="sound", passed=False, sentence=sentence, numbers=numbers)


def new(judged: Judged, coverage: float, limits: Limits) -> RuleResult:
    """Fewer than `new_below_coverage` of the judged frames are covered by the nearest branch."""
    numbers = {"coverage": coverage, "new_below_coverage": limits.new_below_coverage}
    if judged.frames_judged == 0:
        sentence = "Not judged: no frame was left that the model could be held against."
        return RuleResult(rule="new", passed=False, unknown=True, sentence=sentence, numbers=numbers)
    if judged.distrusted:
        sentence = "Not judged: what these labels say about coverage is not to be trusted."
        return RuleResult(rule="new", passed=False, unknown=True, sentence=sentence, numbers=numbers)
    if judged.nearest is None:
        sentence = "There is no model yet, so nothing is known: this data helps to train the first one."
        return RuleResult(rule="new", passed=True, sentence=sentence, numbers=numbers)
    near = judged.nearest.coverage
    numbers |= {
        "force_rmse_mev_per_angstrom": near.force_rmse_mev_per_angstrom,
        "threshold_ev_per_angstrom": near.threshold_ev_per_angstrom,
    }
    covered = int(judged.nearest.covered.sum())
    known = (
        f"DPA {judged.model_version}, branch {near.branch}, predicts {covered:,} of "
        f"{counted(judged.frames_judged, 'frame')} ({percent(coverage)}) as well as the data it was trained on "
        f"(no force off by more than {significant(near.threshold_ev_per_angstrom)} eV/Å)"
    )
    passed = coverage < limits.new_below_coverage
    bound = percent(limits.new_below_coverage)
    if passed:
        be = "is" if len(judged.new_elements) == 1 else "are"
        elements = f" {listed(judged.new_elements)} {be} new to it." if judged.new_elements else ""
        sentence = f"The model can learn from this: {known}; below {bound} counts as new.{elements}"
    else:
        sentence = (
            f"The model knows this already: {known}; from {bound} on, data counts as covered. What would pass: "
            f"{_would_pass(judged, near.threshold_ev_per_angstrom)}."
        )
    return RuleResult(rule="new", passed=passed, sentence=sentence, numbers=numbers)


def _would_pass(judged: Judged, threshold: float) -> str:
    """The contributor's own frames that are new, if there are any, and what other structures would be."""
    uncovered = judged.frames_judged - (int(judged.nearest.covered.sum()) if judged.nearest is not None else 0)
    others = (
        "structures that lie farther from that branch, such as other phases, compositions, elements, surfaces, "
        "defects, pressures or higher temperatures"
    )
    if not uncovered:
        return others
    hold = (
        f", {judged.with_new_elements:,} of them with {listed(judged.new_elements)}" if judged.with_new_elements else ""
    )
    return (
        f"more like the {counted(uncovered, 'frame')} here that it does not know (a force off by more than "
        f"{significant(threshold)} eV/Å{hold}), or {others}"
    )


def outcome(sound_result: RuleResult, new_result: RuleResult) -> Outcome:
    """Soundness is asked first: data that is not sound is never called covered."""
    if not sound_result.passed:
        return "not-sound"
    return "passed" if new_result.passed else "covered"
