"""What a round did for each of its datasets, as the receipts say it. Pure rules."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from contracts.artifacts import BranchManifest, ModelManifest
from contracts.base import BranchError, RuleResult
from contracts.signed import BeforeAfter, Errors, Others, Receipt, StandardChange
from frames.score import geometric_mean

from registry.domain.policy import STANDARD_NUMBER
from registry.domain.rounds import Branch


def receipts(
    manifest: ModelManifest,
    branches: Sequence[Branch],
    rules: Sequence[RuleResult],
    version: str | None,
    issued: datetime,
) -> tuple[Receipt, ...]:
    """One for every dataset of the round, in the model's order. `version`: none when the candidate was withheld."""
    described = {one.name: one for one in manifest.branches}
    before = {error.branch: error for error in (*manifest.parent_held_out, *manifest.zero_shot)}
    old = [one.name for one in branches if not one.is_new and one.name in described and one.name in before]
    return tuple(
        Receipt(
            dataset_id=branch.member.ref.dataset_id,
            dataset_version=branch.member.ref.version,
            content_sha256=content_sha256(branch, described.get(branch.name)),
            round_id=manifest.round_id,
            issued=issued.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            outcome="withheld" if version is None else "published",
            failed_rules=tuple(rule.rule for rule in rules if not rule.passed),
            model_version=version,
            parent_version=manifest.parent_version,
            branch=branch.name,
            role="new" if branch.is_new else "replayed",
            weight=branch.weight,
            own=_own(described.get(branch.name), before.get(branch.name)),
            others=_others([name for name in old if name != branch.name], before, described),
            standard=_standard(rules),
        )
        for branch in branches
    )


def content_sha256(branch: Branch, described: BranchManifest | None) -> str | None:
    """Of the branch's dataset: as the registry heard it from ingest, or, for one from before that, from the trainer."""
    return branch.member.content_sha256 or (described.content_sha256 if described else None)


def _own(described: BranchManifest | None, before: BranchError | None) -> BeforeAfter | None:
    if described is None:
        return None
    return BeforeAfter(before=_errors(before) if before else None, after=_errors(described.held_out))


def _others(
    names: Sequence[str], before: Mapping[str, BranchError], described: Mapping[str, BranchManifest]
) -> Others | None:
    if not names:
        return None
    starts, ends = [before[name] for name in names], [described[name].held_out for name in names]
    rises = [
        100 * (end.force_rmse_mev_per_angstrom / start.force_rmse_mev_per_angstrom - 1)
        for start, end in zip(starts, ends, strict=True)
        if start.force_rmse_mev_per_angstrom > 0
    ]
    return Others(
        branches=len(names), before=_mean(starts), after=_mean(ends), largest_force_rise_percent=max(rises, default=0.0)
    )


def _mean(errors: Sequence[BranchError]) -> Errors:
    return Errors(
        energy_rmse_mev_per_atom=geometric_mean(one.energy_rmse_mev_per_atom for one in errors),
        force_rmse_mev_per_angstrom=geometric_mean(one.force_rmse_mev_per_angstrom for one in errors),
    )


def _errors(error: BranchError) -> Errors:
    return Errors(
        energy_rmse_mev_per_atom=error.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=error.force_rmse_mev_per_angstrom,
    )


def _standard(rules: Sequence[RuleResult]) -> StandardChange | None:
    """As the rule of that name judged it; none when numbers were missing there."""
    numbers = next((rule.numbers for rule in rules if rule.rule == "standard"), {})
    if "score_candidate" not in numbers:
        return None
    number = numbers.get(STANDARD_NUMBER)
    return StandardChange(
        standard=None if number is None else int(number),
        before=numbers.get("score_parent"),
        after=numbers["score_candidate"],
    )
