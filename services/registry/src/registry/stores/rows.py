"""Rows of the registry's tables ↔ frozen domain values."""

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.base import BlobRef, Credit, DatasetRef, Frozen, RuleResult
from contracts.events import ModelFile
from contracts.standard import StandardScore
from kit.queries import Row
from psycopg.types.json import Jsonb

from registry.domain.inquiries import Group, GroupState, Inquiry, InquiryKind
from registry.domain.rounds import (
    AliasMove,
    AliasMoveKind,
    Branch,
    DatasetState,
    Member,
    Model,
    ModelBranch,
    Round,
    RoundState,
    RoundSummary,
)
from registry.domain.workers import Announcement, Gpu, Worker


def json_of(value: Frozen) -> Jsonb:
    return Jsonb(value.model_dump(mode="json"))


def json_list(values: Iterable[Frozen]) -> Jsonb:
    return Jsonb([value.model_dump(mode="json") for value in values])


def member_of(row: Row) -> Member:
    return Member(
        ref=DatasetRef(dataset_id=row["dataset_id"], version=row["version"]),
        credit=Credit(
            title=row["title"], authors=tuple(row["authors"]), licence=row["licence"], private=row["private"]
        ),
        arrival=row["arrival"],
        manifest=BlobRef.model_validate(row["manifest"]),
        metric_report=BlobRef.model_validate(row["metric_report"]),
        train_frames=row["train_frames"],
        nearest_branch=row["nearest_branch"],
        energy_shift_ev=row["energy_shift_ev"],
        traceparent=row["traceparent"],
        state=DatasetState(row["state"]),
        reason=row["reason"],
        relative_weight=row["relative_weight"],
        content_sha256=row["content_sha256"],
    )


def branch_of(row: Row, member: Member | None = None) -> Branch:
    """`member`: the dataset, where it was read already; else the row holds its columns as well."""
    return Branch(
        name=row["name"],
        member=member or member_of(row),
        is_new=row["is_new"],
        weight=row["weight"],
        left_out_frames=tuple(row["left_out_frames"]),
    )


def maybe_round(row: Row | None) -> Round | None:
    return None if row is None else round_of(row)


def round_of(row: Row) -> Round:
    plain: dict[str, Any] = {field: row[field] for field in Round.__dataclass_fields__ if field != "state"}
    return Round(state=RoundState(row["state"]), **plain)


def summary_of(row: Row) -> RoundSummary:
    rules = tuple(RuleResult.model_validate(rule) for rule in row["rules"] or ())
    return RoundSummary(round_of(row), row["new_datasets"], rules)


def model_branch_of(row: Row, member: Member | None = None) -> ModelBranch:
    return ModelBranch(
        branch=branch_of(row, member),
        energy_rmse_mev_per_atom=row["energy_rmse_mev_per_atom"],
        force_rmse_mev_per_angstrom=row["force_rmse_mev_per_angstrom"],
    )


def model_of(
    row: Row,
    branches: Iterable[ModelBranch],
    aliases: tuple[str, ...],
    withdrawn_ancestral: int,
    scores: Sequence[Row],
    current_standard: int,
) -> Model:
    return Model(
        version=row["version"],
        parent_version=row["parent_version"],
        round_id=row["round_id"],
        preset=row["preset"],
        manifest=BlobRef.model_validate(row["manifest"]),
        files=tuple(ModelFile.model_validate(one) for one in row["files"]),
        rules=tuple(RuleResult.model_validate(one) for one in row["rules"]),
        checks=tuple(RuleResult.model_validate(one) for one in row["checks"]),
        standard_score=row["standard_score"],
        contributors=tuple(row["contributors"]),
        branches=tuple(branches),
        aliases=aliases,
        published_at=row["published_at"],
        retired_at=row["retired_at"],
        retired_reason=row["retired_reason"],
        withdrawn_ancestral_datasets=withdrawn_ancestral,
        scores=tuple(StandardScore.model_validate(one["score"]) for one in scores),
        current_standard=current_standard,
        deepmd_version=row["deepmd_version"],
    )


def alias_move_of(row: Row) -> AliasMove:
    return AliasMove(
        sequence=row["seq"],
        alias=row["alias"],
        version=row["version"],
        kind=AliasMoveKind(row["kind"]),
        reason=row["reason"],
        moved_at=row["moved_at"],
    )


def group_of(row: Row) -> Group:
    return Group(
        number=row["number"],
        members=tuple(row["members"]),
        state=GroupState(row["state"]),
        sibling=row["sibling"],
        suspected=row["suspected"],
        round_id=row["round_id"],
    )


def inquiry_of(row: Row, groups: Sequence[Row]) -> Inquiry:
    return Inquiry(
        inquiry_id=row["inquiry_id"],
        kind=InquiryKind(row["kind"]),
        round_id=row["round_id"],
        groups=tuple(group_of(one) for one in groups),
        ended_at=row["ended_at"],
        outcome=row["outcome"],
    )


def worker_of(row: Row) -> Worker:
    plain: dict[str, Any] = {
        field: row[field] for field in Announcement.__dataclass_fields__ if field not in ("gpus", "presets")
    }
    gpus = tuple(Gpu(one["name"], one["memory_bytes"]) for one in row["gpus"])
    return Worker(
        announced=Announcement(gpus=gpus, presets=tuple(row["presets"]), **plain),
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        live=row["live"],
        round_id=row["round_id"],
        refusal=row["refusal"],
    )
