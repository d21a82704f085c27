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
_LABEL_REMEDY_AMONG_OTHERS = "Correct this too, and upload it again."


@dataclass(frozen=True, slots=True)
class Judged:
    """What the answers are made of. `branches` is empty without a model or when no frame could be predicted.

    with_new_elements  of the judged frames, how many hold an element that the model has never seen
    distrusted         something speaks against the labels
    trained            of the judged frames, how many are in datasets that trained the model
    """

    model_version: str | None
    frames_judged: int
    branches: Sequence[BranchJudgement]
    nearest: BranchJudgement | None
    new_elements: tuple[str, ...]
    with_new_elements: int
    distrusted: bool
    trained: int = 0


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
        told = [one.sentence for one in against]
        told += [_LABEL_REMEDY] if few else [_LABEL_REMEDY_AMONG_OTHERS, _many_fail(survey, limits)]
        return RuleResult(rule="sound", passed=False, sentence=" ".join(told), numbers=numbers | against[0].numbers)
    if few:
        kept = "Every frame passes" if failed == 0 else f"{counted(failed, 'frame')} of {total:,} set aside"
        sentence = f"{kept}; up to {percent(limits.max_failed_fraction)} may fail a check."
        return RuleResult(rule="sound", passed=True, sentence=sentence, numbers=numbers)
    return RuleResult(rule="sound", passed=False, sentence=_many_fail(survey, limits), numbers=numbers)


def _many_fail(survey: Survey, limits: Limits) -> str:
    total, failed = len(survey.frames), survey.failed
    causes = survey.failures().most_common()
    named = listed([f"{counted(count, 'frame')} by {rule}" for rule, count in causes])
    remedies = "; ".join(_REMEDIES[rule] for rule, _ in causes)
    return (
        f"{counted(failed, 'frame')} of {total:,} ({percent(failed / total)}) fail a check, and at most "
        f"{percent(limits.max_failed_fraction)} may: {named}. What to do: {remedies}."
    )


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
    known = _known(judged, coverage)
    passed = coverage < limits.new_below_coverage
    bound = percent(limits.new_below_coverage)
    if passed:
        sentence = f"The model can learn from this: {known}; below {bound} counts as new."
    else:
        sentence = (
            f"The model knows this already: {known}; from {bound} on, data counts as covered. What would pass: "
            f"{_would_pass(judged, near.threshold_ev_per_angstrom)}."
        )
    return RuleResult(rule="new", passed=passed, sentence=sentence, numbers=numbers)


def _known(judged: Judged, coverage: float) -> str:
    """How much of it the nearest branch covers, and by which of the three reasons a frame is or is not."""
    if judged.nearest is None:
        raise ValueError("without a branch nothing is covered")
    near = judged.nearest.coverage
    covered, frames = int(judged.nearest.covered.sum()), judged.frames_judged
    branch = f"DPA {judged.model_version}, branch {near.branch}"
    off = f"no force off by more than {significant(near.threshold_ev_per_angstrom)} eV/Å"
    part = f"{covered:,} of {counted(frames, 'frame')} ({percent(coverage)})"
    if not judged.with_new_elements and not judged.trained:
        return f"{branch}, predicts {part} as well as the data it was trained on ({off})"
    facts, rule = [], f"a frame is covered when it has {off}"
    if judged.with_new_elements:
        be = "is" if len(judged.new_elements) == 1 else "are"
        rule += " and no element that is new to the model"
        held = "all" if judged.with_new_elements == frames else f"{judged.with_new_elements:,}"
        facts.append(f"{held} of these hold {listed(judged.new_elements)}, which {be} new")
    if judged.trained:
        rule += ", or when it is in a dataset that trained the model"
        facts.append(f"datasets that trained it hold {judged.trained:,} of these frames")
    return f"{branch}, covers {part}: {rule}; {', and '.join(facts)}"


def _would_pass(judged: Judged, threshold: float) -> str:
    """The contributor's own frames that are new, if there are any, and what other structures would be."""
    uncovered = judged.frames_judged - (int(judged.nearest.covered.sum()) if judged.nearest is not None else 0)
    others = (
        "structures that lie farther from that branch, such as other phases, compositions, elements, surfaces, "
        "defects, pressures or higher temperatures"
    )
    if not uncovered:
        return others
    why = f"a force off by more than {significant(threshold)} eV/Å"
    if judged.with_new_elements:
        named = listed(judged.new_elements)
        some = f"{judged.with_new_elements:,} of them with {named}; in the others {why}"
        why = f"with {named}, new to the model" if judged.with_new_elements == uncovered else some
    return f"more like the {counted(uncovered, 'frame')} here that it does not know ({why}), or {others}"


def outcome(sound_result: RuleResult, new_result: RuleResult) -> Outcome:
    """Soundness is asked first: data that is not sound is never called covered."""
    if not sound_result.passed:
        return "not-sound"
    return "passed" if new_result.passed else "covered"
