"""Protobuf messages ↔ domain values. What a caller got wrong is InvalidRequest."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from contracts.base import BlobRef, BranchError, RuleResult
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.registry.v1 import registry_pb2 as registry
from contracts.standard import StandardScore
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from registry.domain import (
    AliasMove,
    Branch,
    InvalidRequest,
    Lease,
    Model,
    Round,
    RoundState,
    RoundSummary,
    StoredCheckpoint,
    Usage,
    Version,
)
from registry.publication import trained_dataset
from registry.service import Progress
from registry.workers import Announcement, Gpu

DEFAULT_PAGE = 50
LARGEST_PAGE = 200
LARGEST_MEMORY_BYTES = 2**62
STATES = {
    RoundState.WAITING: registry.ROUND_STATE_WAITING,
    RoundState.TRAINING: registry.ROUND_STATE_TRAINING,
    RoundState.PUBLISHED: registry.ROUND_STATE_PUBLISHED,
    RoundState.WITHHELD: registry.ROUND_STATE_WITHHELD,
    RoundState.FAILED: registry.ROUND_STATE_FAILED,
    RoundState.CANCELLED: registry.ROUND_STATE_CANCELLED,
}


def to_duration(seconds: float) -> Duration:
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def round_id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidRequest(f"round_id {text!r} is not a UUID") from None


def blob_of(message: fleet.Blob, what: str) -> BlobRef:
    try:
        return BlobRef(key=message.key, sha256=message.sha256, size=message.size)
    except ValidationError as error:
        raise InvalidRequest(f"{what} is not a reference to an object: {error}") from error


def checkpoint_of(message: fleet.StoredCheckpoint) -> StoredCheckpoint:
    return StoredCheckpoint(blob_of(message.blob, "checkpoint.blob"), message.step)


def errors_of(branches: Iterable[fleet.BranchError]) -> tuple[BranchError, ...]:
    try:
        return tuple(
            BranchError(
                branch=one.branch,
                energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
                force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
            )
            for one in branches
        )
    except ValidationError as error:
        raise InvalidRequest(f"branches hold a number that is no error: {error}") from error


def progress_of(message: fleet.ReportRequest) -> Progress:
    return Progress(
        step=message.step,
        learning_rate=message.learning_rate,
        branches=errors_of(message.branches),
        frames_per_second=message.frames_per_second,
        eta_seconds=message.eta.ToNanoseconds() / 1e9,
    )


def usage_of(message: fleet.HeartbeatRequest | fleet.HandBackRequest | fleet.FailRequest) -> Usage | None:
    """None when the worker does not tell. Raises InvalidRequest for numbers that are none."""
    if not message.HasField("usage"):
        return None
    told = message.usage
    usage = Usage(
        core_seconds=told.core_seconds,
        gpu_seconds=told.gpu_seconds,
        cpu_joules=told.cpu_joules if told.HasField("cpu_joules") else None,
        gpu_joules=told.gpu_joules if told.HasField("gpu_joules") else None,
    )
    numbers = (usage.core_seconds, usage.gpu_seconds, usage.cpu_joules or 0.0, usage.gpu_joules or 0.0)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise InvalidRequest("usage holds a number that is none: seconds and joules, zero or more")
    return usage


def announcement_of(worker: fleet.Worker) -> Announcement:
    if not worker.worker_id:
        raise InvalidRequest("worker.worker_id is empty: name the worker that takes the round")
    for what, size in [
        ("memory_bytes", worker.memory_bytes),
        *((one.name, one.memory_bytes) for one in worker.gpu_devices),
    ]:
        if size > LARGEST_MEMORY_BYTES:
            raise InvalidRequest(f"worker.{what}: no machine has {size} bytes of memory")
    # A worker of an earlier release tells names alone.
    gpus = [Gpu(one.name, one.memory_bytes) for one in worker.gpu_devices] or [Gpu(name, 0) for name in worker.gpus]
    return Announcement(
        worker_id=worker.worker_id,
        hostname=worker.hostname,
        gpus=tuple(gpus),
        cpu_name=worker.cpu_name,
        cpu_cores=worker.cpu_cores,
        memory_bytes=worker.memory_bytes,
        presets=tuple(worker.presets),
        deepmd_version=worker.deepmd_version,
        torch_version=worker.torch_version,
        launcher=worker.launcher,
        processes=worker.processes or 1,
    )


def to_blob(reference: BlobRef) -> fleet.Blob:
    return fleet.Blob(key=reference.key, sha256=reference.sha256, size=reference.size)


def to_lease(lease: Lease) -> fleet.Lease:
    round_ = lease.round
    resume = lease.resume_from
    return fleet.Lease(
        round_id=str(round_.round_id),
        fence=round_.fence,
        attempt=round_.fence,
        ttl=to_duration(lease.ttl_seconds),
        spec=fleet.RoundSpec(
            preset=round_.preset,
            total_steps=round_.total_steps,
            seed=round_.seed,
            parent_manifest=to_blob(lease.parent_manifest) if lease.parent_manifest else None,
            parent_version=round_.parent_version or "",
            branches=[_to_round_branch(branch) for branch in lease.branches],
            left_out_branches=lease.left_out_branches,
            standard_dataset=to_blob(lease.standard) if lease.standard else None,
        ),
        resume_from=fleet.StoredCheckpoint(blob=to_blob(resume.blob), step=resume.step) if resume else None,
        traceparent=round_.traceparent or "",
        learning_rate_factor=round_.learning_rate_factor,
    )


def _to_round_branch(branch: Branch) -> fleet.RoundBranch:
    member = branch.member
    message = fleet.RoundBranch(
        name=branch.name,
        dataset_id=str(member.ref.dataset_id),
        dataset_version=member.ref.version,
        dataset_manifest=to_blob(member.manifest),
        metric_report=to_blob(member.metric_report),
        is_new=branch.is_new,
        weight=branch.weight,
        left_out_frames=branch.left_out_frames,
    )
    if branch.is_new:
        message.nearest_branch = member.nearest_branch or ""
        message.energy_shift_ev.update(member.energy_shift_ev)
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
        datasets=_to_datasets(model),
        contributors=model.contributors,
        rules=_to_rules(model.rules),
        standard_score=model.standard_score,
        aliases=model.aliases,
        retired=to_timestamp(model.retired_at),
        retired_reason=model.retired_reason or "",
        withdrawn_datasets=model.withdrawn_datasets,
        withdrawn_ancestral_datasets=model.withdrawn_ancestral_datasets,
        checks=_to_rules(model.checks),
        scores=[_to_score(score) for score in model.scores],
        current_standard=model.current_standard,
    )


def _to_score(score: StandardScore) -> registry.StandardScore:
    return registry.StandardScore(
        standard=score.standard,
        score=score.score,
        energy_ratio=score.energy_ratio,
        force_ratio=score.force_ratio,
        energy_rmse_mev_per_atom=score.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=score.force_rmse_mev_per_angstrom,
        branches=[registry.StandardBranchScore(**one.model_dump()) for one in score.branches],
    )


def _to_datasets(model: Model) -> list[registry.TrainedDataset]:
    messages = []
    for one in model.branches:
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
        messages.append(message)
    return messages


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


def page_size_of(asked: int) -> int:
    return min(asked or DEFAULT_PAGE, LARGEST_PAGE)


def version_token_of(token: str) -> Version | None:
    """A page token of models is the last version that was listed."""
    try:
        return Version.parse(token) if token else None
    except ValueError:
        raise InvalidRequest(f"page_token {token!r} is not one that this service gave") from None


def sequence_token_of(token: str) -> int | None:
    """A page token of rounds is the last sequence number that was listed."""
    if not token:
        return None
    if not (token.isascii() and token.isdigit() and len(token) < 19):
        raise InvalidRequest(f"page_token {token!r} is not one that this service gave")
    return int(token)
