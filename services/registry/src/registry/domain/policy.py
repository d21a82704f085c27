"""The growth policy: is the candidate better than its parent? Written rules, each with its numbers.

Formulas: a branch's error is its held-out RMSE. M_E and M_F are the geometric means over branches of
RMSE / RMSE of a composition-only baseline (least-squares energies per element, all forces zero); the score is
E = ½(M_E + M_F): 0 is DFT, 1 the baseline. Its frames are those of the standard dataset (`standard`). A number that
is missing makes its rule fail. The numbers themselves decide; their confidence intervals (`bootstrap`) say how much
that is worth.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.artifacts import BranchManifest, ModelManifest
from contracts.base import BranchError, RuleResult
from frames.score import score as score_of_ratios
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.domain.bootstrap import Evidence, Interval, Sampling

SCORE_OF_THE_BASELINE = 1.0
TOLERANCE = 1e-9  # relative: exactly 5 % must count as 5 % whatever the last bit says
NAMED_BRANCHES = 5
STANDARD_NUMBER = "standard_dataset"
"""Among the numbers of the rule 'standard': the version whose frames were compared. None: all held-out frames."""


class GrowthPolicy(BaseModel):
    """When rounds start, how long they train, and what a candidate must reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = Field(min_length=1, description="training recipe: a file of deploy/presets without its suffix")
    first_round_min_datasets: int = Field(ge=1, description="datasets that must wait before the first model is trained")
    gather_seconds: float = Field(ge=0, description="quiet time after the last arrival before a round is planned")
    gather_max_seconds: float = Field(
        default=600, ge=0, description="nobody waits longer than this for others to calm down"
    )
    max_datasets_per_round: int = Field(ge=1, description="new datasets in one round at most; the others wait")
    first_round_steps: int = Field(ge=1, description="training steps of the first model")
    growth_round_steps: int = Field(ge=1, description="training steps of every later round")
    steps_per_further_dataset: int = Field(
        default=0, ge=0, description="steps on top for each new dataset of a later round beyond its first"
    )
    steps_per_old_branch: int = Field(
        default=0, ge=0, description="steps on top for each old branch of a later round: what is known is replayed"
    )
    growth_round_max_steps: int = Field(
        default=1_000_000, ge=1, description="what those on top may lead to; never less than growth_round_steps"
    )
    weight_exponent: float = Field(
        default=0.5, ge=0, le=1, description="a dataset is drawn by its training frames to this power, unless it is set"
    )
    new_datasets_share: float = Field(
        default=0.5, gt=0, lt=1, description="part of all draws that the new datasets share at most"
    )
    new_datasets_least_share: float = Field(
        default=0.2, gt=0, lt=1, description="and at least, however small they are beside the old ones"
    )
    new_datasets_boost: float = Field(
        default=1.5, ge=1, description="in between: so many times the part that their weights alone would give them"
    )
    new_datasets_most_steps_per_frame: float = Field(
        default=15,
        gt=0,
        description="no more steps on new datasets than this for each of their training frames, unless their weights "
        "alone give more",
    )
    seed: int = Field(description="of random numbers: the same data on the same parent gives the same candidate")
    lease_ttl_seconds: float = Field(gt=0, description="a worker that is silent for longer loses its round")
    max_attempts: int = Field(
        ge=1, description="attempts in a row without a new checkpoint after which a round is given up"
    )
    learned_min_reduction: float = Field(
        ge=0, lt=1, description="each new dataset's held-out force RMSE falls by at least this fraction (0.05: 5 %)"
    )
    standard_max_worsening: float = Field(
        ge=0, description="the standard score E is worse than the parent's by at most this fraction"
    )
    remembered_max_rise: float = Field(
        ge=0, description="no old branch's held-out force RMSE rises by more than this fraction"
    )
    standard_frames_per_branch: int = Field(
        default=64, ge=1, description="held-out frames of each branch in the standard dataset at most"
    )
    withholding_checks: tuple[str, ...] = Field(
        default=(),
        description="checks of the files that withhold a model beside those that always do, e.g. 'conserves-energy'",
    )

    confidence: float = Field(default=0.95, gt=0, lt=1, description="of the intervals shown with the numbers")
    bootstrap_draws: int = Field(default=1000, ge=1, description="draws of held-out frames behind an interval")

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.seed, self.bootstrap_draws, self.confidence)

    @classmethod
    def load(cls, path: Path) -> "GrowthPolicy":
        """Raises ValueError naming the file and the field."""
        try:
            return cls.model_validate(json.loads(path.read_text()))
        except OSError as error:
            raise ValueError(f"growth policy {path} cannot be read: {error.strerror}") from error
        except (ValidationError, json.JSONDecodeError) as error:
            raise ValueError(f"growth policy {path} is not valid: {error}") from error


@dataclass(frozen=True, slots=True)
class Verdict:
    """All rules with their numbers. `standard_score` is none when numbers are missing; then 'standard' failed."""

    rules: tuple[RuleResult, ...]
    standard_score: float | None

    @property
    def passed(self) -> bool:
        return all(rule.passed for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Change:
    """Force RMSE of one branch in meV/Å, before and after."""

    branch: str
    before: float
    after: float
    interval: Interval | None = None
    """Of the relative change."""

    @property
    def rise(self) -> float:
        """Relative change; +0.05 is 5 % worse. Errors that start at zero can only rise."""
        if self.before == 0:
            return 0.0 if self.after == 0 else math.inf
        return self.after / self.before - 1

    def __str__(self) -> str:
        percent = f" ({100 * self.rise:+.1f} %{_within(self.interval)})" if math.isfinite(self.rise) else ""
        return f"{self.branch} from {self.before:.1f} to {self.after:.1f} meV/Å{percent}"


@dataclass(frozen=True, slots=True)
class OnStandard:
    """A candidate, measured on the standard dataset alone.

    frames  of each branch that the standard dataset has; the manifest lacks those on which numbers are missing
    number  of the standard dataset that is current; of the one that this candidate would make, if there is none yet
    """

    manifest: ModelManifest
    frames: Mapping[str, int]
    number: int


def judge(
    manifest: ModelManifest,
    old: Sequence[str],
    new: Sequence[str],
    policy: GrowthPolicy,
    on_standard: OnStandard | None = None,
) -> Verdict:
    """Apply the policy to a candidate. `old` and `new` are the branches that the round asked for.

    Without a standard dataset (none: no branch could give frames to one) all held-out frames take its place.
    """
    evidence = Evidence(manifest.branches, policy.sampling)
    standard, score = _judge_on_standard(manifest, old, new, policy, evidence, on_standard)
    rules = (
        judge_learned(manifest, new, policy, evidence),
        standard,
        judge_remembered(manifest, old, policy, evidence),
        judge_loads(manifest, policy),
    )
    return Verdict(rules, score)


def _judge_on_standard(
    manifest: ModelManifest,
    old: Sequence[str],
    new: Sequence[str],
    policy: GrowthPolicy,
    evidence: Evidence,
    on_standard: OnStandard | None,
) -> tuple[RuleResult, float | None]:
    if on_standard is None:
        return judge_standard(manifest, old, new, policy, evidence)
    both = [name for name in old if name in on_standard.frames]
    if old and not both:
        # Nothing on which candidate and parent could be compared: the rule must not pass for want of frames.
        return judge_standard(manifest, old, new, policy, evidence)
    fresh = [name for name in new if name in on_standard.frames]
    measured = on_standard.manifest
    evidence = Evidence(measured.branches, policy.sampling)
    rule, score = judge_standard(measured, both, fresh, policy, evidence, "the standard dataset")
    frames = sum(on_standard.frames[name] for name in (both or fresh))
    return rule.model_copy(
        update={"numbers": rule.numbers | {"frames_compared": frames, STANDARD_NUMBER: on_standard.number}}
    ), score


def judge_learned(manifest: ModelManifest, new: Sequence[str], policy: GrowthPolicy, evidence: Evidence) -> RuleResult:
    """learned: each new dataset's held-out force RMSE fell from zero-shot; the first model starts from zero forces."""
    branches = {branch.name: branch for branch in manifest.branches}
    after = {name: branch.held_out.force_rmse_mev_per_angstrom for name, branch in branches.items()}
    first = manifest.parent_version is None
    if first:
        before = {name: branch.baseline_force_rmse_mev_per_angstrom for name, branch in branches.items()}
        start = "all forces zero"
    else:
        before = _forces(manifest.zero_shot)
        start = "zero-shot"
    if absent := _absent(new, before, after):
        return _no_numbers("learned", absent, "new")
    asked = f"at least {100 * policy.learned_min_reduction:g} % below {start} was asked"
    allowed = 1 - policy.learned_min_reduction
    changes = [Change(name, before[name], after[name], evidence.force_rise(name, from_baseline=first)) for name in new]
    failed = [one for one in changes if one.before == 0 or one.after > one.before * allowed * (1 + TOLERANCE)]
    if failed:
        sentence = f"Not every new dataset was learned: held-out force error: {_listed(failed)}; {asked}."
    else:
        sentence = f"Every new dataset was learned: held-out force error: {_listed(changes)}; {asked}."
    return RuleResult(rule="learned", passed=not failed, sentence=sentence, numbers=_numbers(changes))


def judge_remembered(
    manifest: ModelManifest, old: Sequence[str], policy: GrowthPolicy, evidence: Evidence
) -> RuleResult:
    """remembered: no old branch's held-out force RMSE rose by more than the policy allows."""
    if not old:
        sentence = "There was nothing to forget: this is the first model."
        return RuleResult(rule="remembered", passed=True, sentence=sentence)
    before = _forces(manifest.parent_held_out)
    after = {branch.name: branch.held_out.force_rmse_mev_per_angstrom for branch in manifest.branches}
    if absent := _absent(old, before, after):
        return _no_numbers("remembered", absent, "old")
    asked = f"at most {100 * policy.remembered_max_rise:g} % more is allowed"
    changes = [Change(name, before[name], after[name], evidence.force_rise(name)) for name in old]
    limit = (1 + policy.remembered_max_rise) * (1 + TOLERANCE)
    failed = [one for one in changes if one.after > one.before * limit]
    if failed:
        sentence = f"The candidate forgot: held-out force error: {_listed(failed)}; {asked}."
    else:
        worst = max(changes, key=lambda one: one.rise)
        sentence = f"Nothing was forgotten: the old branch that fared worst is {worst}; {asked}."
    return RuleResult(rule="remembered", passed=not failed, sentence=sentence, numbers=_numbers(changes))


def judge_standard(
    manifest: ModelManifest,
    old: Sequence[str],
    new: Sequence[str],
    policy: GrowthPolicy,
    evidence: Evidence,
    frames: str = "held-out frames",
) -> tuple[RuleResult, float | None]:
    """standard: the score E on the same frames of the same branches, candidate against parent. Returns E of all too."""
    branches = {branch.name: branch for branch in manifest.branches}
    parent = {error.branch: error for error in manifest.parent_held_out}
    absent = [name for name in (*old, *new) if name not in branches or not has_scale(branches[name])]
    absent += [name for name in old if name not in parent and name not in absent]
    if absent or not branches:
        return _no_numbers("standard", absent, "old or new"), None
    everything = score((branches[name].held_out, branches[name]) for name in (*old, *new))
    interval = evidence.score((*old, *new))
    if not old:
        passed = everything < SCORE_OF_THE_BASELINE
        sentence = (
            f"On {frames} the score is {everything:.3f}{_between(interval)}; the first model must be better than "
            f"{SCORE_OF_THE_BASELINE:g}, the composition-only baseline."
        )
        numbers = {"score_candidate": everything, "score_baseline": SCORE_OF_THE_BASELINE}
        numbers |= _bounds("score_candidate", interval)
        return RuleResult(rule="standard", passed=passed, sentence=sentence, numbers=numbers), everything
    candidate = score((branches[name].held_out, branches[name]) for name in old)
    before = score((parent[name], branches[name]) for name in old)
    limit = before * (1 + policy.standard_max_worsening)
    rise = evidence.score_rise(old)
    percent = f", {100 * (candidate / before - 1):+.1f} %{_within(rise)}" if before > 0 else ""
    sentence = (
        f"On {frames}, over the branches that both have, the score went from {before:.4f} to {candidate:.4f}"
        f" (0 is DFT{percent}); "
        f"at most {limit:.4f}, {100 * policy.standard_max_worsening:g} % more, is allowed."
    )
    numbers = {
        "score_parent": before,
        "score_candidate": candidate,
        "score_allowed": limit,
        "score_candidate_all_branches": everything,
        **_bounds("score_candidate", evidence.score(old)),
        **_bounds("score_rise_percent", rise, 100),
        **_bounds("score_candidate_all_branches", interval),
    }
    passed = candidate <= limit * (1 + TOLERANCE)
    return RuleResult(rule="standard", passed=passed, sentence=sentence, numbers=numbers), everything


def judge_loads(manifest: ModelManifest, policy: GrowthPolicy) -> RuleResult:
    """loads: opened in a fresh process, the files are what was trained, and hold what the policy asks of them too."""
    found = manifest.verification.model_copy(update={"rule": "loads"})
    checks = {check.rule: check for check in manifest.checks}
    asked = [checks.get(name, _not_told(name)) for name in policy.withholding_checks]
    broken = [check.sentence for check in asked if not check.passed and not check.unknown]
    if found.passed and broken:
        return found.model_copy(update={"passed": False, "sentence": " ".join((found.sentence, *broken))})
    return found


def _not_told(name: str) -> RuleResult:
    return RuleResult(rule=name, passed=False, sentence=f"The trainer tells of no check {name!r}.")


def score(branches: Iterable[tuple[BranchError, BranchManifest]]) -> float:
    """E = ½(M_E + M_F) of errors against the baselines of the same branches (each baseline above zero)."""
    pairs = list(branches)
    return score_of_ratios(
        (error.energy_rmse_mev_per_atom / branch.baseline_energy_rmse_mev_per_atom for error, branch in pairs),
        (error.force_rmse_mev_per_angstrom / branch.baseline_force_rmse_mev_per_angstrom for error, branch in pairs),
    )


def has_scale(branch: BranchManifest) -> bool:
    return branch.baseline_energy_rmse_mev_per_atom > 0 and branch.baseline_force_rmse_mev_per_angstrom > 0


def _forces(errors: Iterable[BranchError]) -> dict[str, float]:
    return {error.branch: error.force_rmse_mev_per_angstrom for error in errors}


def _absent(names: Sequence[str], *numbers: Mapping[str, float]) -> list[str]:
    return [name for name in names if any(name not in known for known in numbers)]


def _no_numbers(rule: str, branches: Sequence[str], kind: str) -> RuleResult:
    named = ", ".join(branches) or "any branch"
    sentence = f"The trainer gave no usable numbers for {named} ({kind}), so this cannot be judged."
    return RuleResult(rule=rule, passed=False, sentence=sentence, numbers={"branches_without_numbers": len(branches)})


def _numbers(changes: Sequence[Change]) -> dict[str, float]:
    numbers = {}
    for one in changes:
        numbers[f"{one.branch}.force_rmse_before_mev_per_angstrom"] = one.before
        numbers[f"{one.branch}.force_rmse_after_mev_per_angstrom"] = one.after
        numbers |= _bounds(f"{one.branch}.force_rmse_rise_percent", one.interval, 100)
    return numbers


def _bounds(name: str, interval: Interval | None, factor: float = 1) -> dict[str, float]:
    if interval is None:
        return {}
    return {f"{name}_low": factor * interval.low, f"{name}_high": factor * interval.high}


def _within(interval: Interval | None) -> str:
    return f", likely {100 * interval.low:+.1f} to {100 * interval.high:+.1f}" if interval else ""


def _between(interval: Interval | None) -> str:
    return f" (likely {interval.low:.3f} to {interval.high:.3f})" if interval else ""


def _listed(changes: Sequence[Change]) -> str:
    """The worst few in words; the numbers hold all."""
    worst = sorted(changes, key=lambda one: one.rise, reverse=True)
    text = ", ".join(str(one) for one in worst[:NAMED_BRANCHES])
    more = len(worst) - NAMED_BRANCHES
    return f"{text} and {more} more" if more > 0 else text
