"""Messages of the fleet ↔ domain values. What a caller got wrong is InvalidRequest."""

import math
from collections.abc import Iterable
from uuid import UUID

from contracts.base import BlobRef, BranchError
from contracts.fleet.v1 import fleet_pb2 as fleet
from google.protobuf.duration_pb2 import Duration
from pydantic import ValidationError

from registry.domain.rounds import Branch, InvalidRequest, Lease, StoredCheckpoint, Usage
from registry.domain.workers import Announcement, Gpu
from registry.rounds.service import Progress

LARGEST_MEMORY_BYTES = 2**62


def to_duration(seconds: float) -> Duration:
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
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
