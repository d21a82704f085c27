"""Protobuf messages of operators ↔ domain values. What a caller got wrong is InvalidRequest."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from contracts.base import DatasetRef, RuleResult
from contracts.operator.v1 import operator_pb2 as pb
from pydantic import ValidationError

from registry.domain.inquiries import Inquiry
from registry.domain.rounds import InvalidRequest, Member, Round
from registry.domain.scores import Coverage, CoverageState, Released
from registry.domain.workers import Worker
from registry.queries.wire import to_timestamp


def dataset_ref_of(message: pb.DatasetRef) -> DatasetRef:
    try:
        return DatasetRef.model_validate({"dataset_id": message.dataset_id, "version": message.version})
    except ValidationError:
        raise InvalidRequest(
            f"{message.dataset_id!r} version {message.version} names no dataset: a UUID and a version from 1"
        ) from None


def to_ref(ref: DatasetRef) -> pb.DatasetRef:
    return pb.DatasetRef(dataset_id=str(ref.dataset_id), version=ref.version)


def to_refs(members: Iterable[Member]) -> list[pb.DatasetRef]:
    return [to_ref(member.ref) for member in members]


def to_dataset(member: Member) -> pb.Dataset:
    return pb.Dataset(
        ref=to_ref(member.ref),
        title=member.credit.title,
        private=member.credit.private,
        state=member.state,
        reason=member.reason or "",
        train_frames=member.train_frames,
        weight=member.relative_weight or 0,
    )


def to_round(
    round_: Round, new: Iterable[Member], rules: Sequence[RuleResult] = (), inquiry_id: UUID | None = None
) -> pb.Round:
    return pb.Round(
        round_id=str(round_.round_id),
        state=round_.state,
        parent_version=round_.parent_version or "",
        model_version=round_.model_version or "",
        new_datasets=[to_dataset(member) for member in new],
        attempt=round_.fence,
        worker=round_.worker or "",
        step=round_.step,
        total_steps=round_.total_steps,
        reason=round_.reason or "",
        rules=[
            pb.Rule(rule=rule.rule, passed=rule.passed, sentence=rule.sentence, numbers=rule.numbers) for rule in rules
        ],
        planned=to_timestamp(round_.planned_at),
        ended=to_timestamp(round_.ended_at),
        inquiry_id=str(inquiry_id) if inquiry_id else "",
    )


def to_inquiry(inquiry: Inquiry, members: Iterable[Member]) -> pb.Inquiry:
    """`members`: every dataset of its groups."""
    refs = {member.arrival: to_ref(member.ref) for member in members}
    return pb.Inquiry(
        inquiry_id=str(inquiry.inquiry_id),
        kind=inquiry.kind,
        round_id=str(inquiry.round_id),
        groups=[
            pb.Group(
                datasets=[refs[member] for member in group.members],
                state=group.state,
                round_id=str(group.round_id) if group.round_id else "",
                suspected=group.suspected,
            )
            for group in inquiry.groups
        ],
        ended=to_timestamp(inquiry.ended_at),
        outcome=inquiry.outcome or "",
    )


def to_standard(released: Released) -> pb.Standard:
    standard = released.standard
    return pb.Standard(
        number=standard.number,
        model_version=standard.model_version,
        released=to_timestamp(released.released_at),
        branches=[
            pb.StandardFrames(
                branch=one.branch,
                dataset=to_ref(one.dataset),
                private=one.branch in released.private_branches,
                frames=len(one.frames),
            )
            for one in standard.branches
        ],
    )


def to_coverage(coverage: Coverage, state: CoverageState) -> pb.Coverage:
    return pb.Coverage(
        model_version=coverage.version,
        state=state,
        reason=coverage.reason or "",
        standard=coverage.score.standard if coverage.score else 0,
        score=coverage.score.score if coverage.score else 0,
    )


def to_worker(worker: Worker) -> pb.Worker:
    said = worker.announced
    return pb.Worker(
        worker_id=said.worker_id,
        hostname=said.hostname,
        gpus=[pb.Gpu(name=one.name, memory_bytes=one.memory_bytes) for one in said.gpus],
        cpu_name=said.cpu_name,
        cpu_cores=said.cpu_cores,
        memory_bytes=said.memory_bytes,
        presets=said.presets,
        deepmd_version=said.deepmd_version,
        torch_version=said.torch_version,
        launcher=said.launcher,
        processes=said.processes,
        first_seen=to_timestamp(worker.first_seen),
        last_seen=to_timestamp(worker.last_seen),
        live=worker.live,
        round_id=str(worker.round_id) if worker.round_id else "",
        refusal=worker.refusal or "",
    )
