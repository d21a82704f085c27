"""Messages of contracts.registry.v1 from domain values."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from contracts.artifacts import PublishedBranch
from contracts.base import BlobRef, LevelOfTheory, RuleResult
from contracts.registry.v1 import registry_pb2 as registry
from contracts.standard import StandardScore
from google.protobuf.timestamp_pb2 import Timestamp

from registry.domain.changes import Change, ChangeKind
from registry.domain.publication import trained_dataset
from registry.domain.resolving import Ranked, Reason, ReasonKind
from registry.domain.rounds import AliasMove, Model, ModelBranch, Round, RoundState, RoundSummary
from registry.stores.queries import KnownAlias

STATES = {
    RoundState.WAITING: registry.ROUND_STATE_WAITING,
    RoundState.TRAINING: registry.ROUND_STATE_TRAINING,
    RoundState.PUBLISHED: registry.ROUND_STATE_PUBLISHED,
    RoundState.WITHHELD: registry.ROUND_STATE_WITHHELD,
    RoundState.FAILED: registry.ROUND_STATE_FAILED,
    RoundState.CANCELLED: registry.ROUND_STATE_CANCELLED,
}
REASONS = {
    ReasonKind.UNKNOWN_ELEMENT: registry.DOMAIN_REASON_KIND_UNKNOWN_ELEMENT,
    ReasonKind.UNKNOWN_PAIR: registry.DOMAIN_REASON_KIND_UNKNOWN_PAIR,
    ReasonKind.OVERLAPPING_ATOMS: registry.DOMAIN_REASON_KIND_OVERLAPPING_ATOMS,
    ReasonKind.SHORT_DISTANCE: registry.DOMAIN_REASON_KIND_SHORT_DISTANCE,
    ReasonKind.DENSITY: registry.DOMAIN_REASON_KIND_DENSITY,
}
CHANGES = {
    ChangeKind.PUBLISHED: registry.CHANGE_KIND_PUBLISHED,
    ChangeKind.ALIASED: registry.CHANGE_KIND_ALIASED,
    ChangeKind.RETIRED: registry.CHANGE_KIND_RETIRED,
}


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def to_model(model: Model) -> registry.Model:
    return registry.Model(
        version=model.version,
        parent_version=model.parent_version or "",
        published=to_timestamp(model.published_at),
        preset=model.preset,
        manifest=_to_artifact(model.manifest),
        files=[
            registry.ModelFile(
                name=file.name, kind=file.kind, branch=file.branch or "", artifact=_to_artifact(file.blob)
            )
            for file in model.files
        ],
        datasets=[_to_dataset(one) for one in model.branches],
        contributors=model.contributors,
        rules=_to_rules(model.rules),
        standard_score=model.standard_score,
        aliases=model.aliases,
        retired=to_timestamp(model.retired_at),
        retired_reason=model.retired_reason or "",
        withdrawn_datasets=model.withdrawn_datasets,
        withdrawn_ancestral_datasets=model.withdrawn_ancestral_datasets,
        checks=_to_rules(model.checks),
        scores=[to_score(score) for score in model.scores],
        current_standard=model.current_standard,
    )


def to_score(score: StandardScore) -> registry.StandardScore:
    return registry.StandardScore(
        standard=score.standard,
        score=score.score,
        energy_ratio=score.energy_ratio,
        force_ratio=score.force_ratio,
        energy_rmse_mev_per_atom=score.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=score.force_rmse_mev_per_angstrom,
        branches=[registry.StandardBranchScore(**one.model_dump()) for one in score.branches],
    )


def _to_dataset(one: ModelBranch) -> registry.TrainedDataset:
    row = trained_dataset(one)
    message = registry.TrainedDataset(
        title=row.title or "",
        authors=row.authors,
        branch=row.branch,
        weight=row.weight,
        is_new=row.new,
        energy_rmse_mev_per_atom=row.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=row.force_rmse_mev_per_angstrom,
        withdrawn=one.branch.member.withdrawn,
    )
    if row.dataset is not None:
        message.dataset_id = str(row.dataset.dataset_id)
        message.dataset_version = row.dataset.version
    return message


def _to_rules(rules: Sequence[RuleResult]) -> list[registry.Rule]:
    return [
        registry.Rule(rule=rule.rule, passed=rule.passed, sentence=rule.sentence, numbers=rule.numbers)
        for rule in rules
    ]


def _to_artifact(reference: BlobRef) -> registry.Artifact:
    return registry.Artifact(key=reference.key, sha256=reference.sha256, size=reference.size)


def to_round(summary: RoundSummary) -> registry.Round:
    round_: Round = summary.round
    return registry.Round(
        round_id=str(round_.round_id),
        state=STATES[round_.state],
        parent_version=round_.parent_version or "",
        model_version=round_.model_version or "",
        new_datasets=summary.new_datasets,
        attempt=round_.fence,
        planned=to_timestamp(round_.planned_at),
        ended=to_timestamp(round_.ended_at),
        step=round_.step,
        total_steps=round_.total_steps,
        rules=_to_rules(summary.rules),
    )


def to_alias_move(move: AliasMove) -> registry.AliasMove:
    return registry.AliasMove(
        alias=move.alias, version=move.version, kind=move.kind, reason=move.reason, moved=to_timestamp(move.moved_at)
    )


def to_branch(one: ModelBranch, published: Mapping[str, PublishedBranch]) -> registry.Branch:
    """Elements and level of theory are those of the published manifest, which has none of a private dataset."""
    message = registry.Branch(name=one.branch.name, dataset=_to_dataset(one))
    described = published.get(one.branch.name)
    if described is None:
        return message
    message.threshold_ev_per_angstrom = described.threshold_ev_per_angstrom or 0.0
    if one.branch.member.credit.private:
        return message
    message.elements.extend(described.elements)
    if described.level_of_theory is not None:
        message.level_of_theory.CopyFrom(_to_theory(described.level_of_theory))
    message.held_out_frames = described.held_out_frames or 0
    message.baseline_energy_rmse_mev_per_atom = described.baseline_energy_rmse_mev_per_atom or 0.0
    message.baseline_force_rmse_mev_per_angstrom = described.baseline_force_rmse_mev_per_angstrom or 0.0
    return message


def _to_theory(theory: LevelOfTheory) -> registry.LevelOfTheory:
    return registry.LevelOfTheory(
        code=theory.code or "",
        functional=theory.functional or "",
        cutoff_ev=theory.cutoff_ev,
        k_points=theory.k_points or "",
        basis=theory.basis or "",
    )


def to_alias(alias: KnownAlias) -> registry.Alias:
    return registry.Alias(name=alias.name, version=alias.version, moved=to_timestamp(alias.moved_at))


def to_contributors(model: Model) -> list[registry.Contributor]:
    """In order of arrival, with the branches of their public datasets."""
    branches: dict[str, list[str]] = {name: [] for name in model.contributors}
    for one in model.branches:
        for author in trained_dataset(one).authors:
            branches.setdefault(author, []).append(one.branch.name)
    return [registry.Contributor(name=name, branches=held) for name, held in branches.items()]


def to_ranked(ranked: Ranked, branch: registry.Branch) -> registry.RankedBranch:
    return registry.RankedBranch(
        branch=branch,
        familiarity=ranked.familiarity,
        expected_error=registry.ExpectedError(
            energy_rmse_mev_per_atom=branch.dataset.energy_rmse_mev_per_atom,
            force_rmse_mev_per_angstrom=branch.dataset.force_rmse_mev_per_angstrom,
            basis=ranked.basis,
        ),
        out_of_domain=bool(ranked.reasons),
        reasons=[to_reason(reason) for reason in ranked.reasons],
    )


def to_reason(reason: Reason) -> registry.DomainReason:
    return registry.DomainReason(
        kind=REASONS[reason.kind],
        sentence=reason.sentence,
        subjects=reason.subjects,
        value=reason.value,
        limit=reason.limit,
    )


def to_change(change: Change) -> registry.WatchResponse:
    return registry.WatchResponse(
        position=change.position,
        kind=CHANGES[change.kind],
        version=change.version,
        alias=change.alias or "",
        previous_version=change.previous_version or "",
        reason=change.reason or "",
        at=to_timestamp(change.at),
    )
