"""The registry, as a trainer speaks to it: contracts.fleet.v1 over gRPC."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import grpc
from contracts.artifacts import Gpu, Hardware
from contracts.base import BlobRef, DatasetRef
from contracts.fleet.v1 import fleet_pb2 as pb
from contracts.fleet.v1 import fleet_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from trainer.calls import asked
from trainer.domain import (
    Beat,
    Checkpoint,
    Lease,
    LeasedBranch,
    LeaseLost,
    NoWork,
    Report,
    Usage,
    Verdict,
)

Request = TypeVar("Request")
Response = TypeVar("Response")


class Fleet:
    """Every method raises LeaseLost, RegistryAway or RegistryRefused; none repeats a call by itself."""

    def __init__(self, channel: grpc.aio.Channel, worker: pb.Worker, deadline: float, submit_deadline: float) -> None:
        self._stub = fleet_pb2_grpc.FleetServiceStub(channel)
        self._worker = worker
        self._deadline = deadline
        self._submit_deadline = submit_deadline

    def hardware(self, device: str) -> Hardware:
        """What this worker announced, and where training ran: 'cpu', 'cuda:0'."""
        return hardware_of(self._worker, device.partition(":")[0])

    async def lease(self) -> Lease | NoWork:
        response = await self._call(self._stub.Lease, pb.LeaseRequest(worker=self._worker))
        if not response.HasField("lease"):
            return NoWork(_seconds(response.retry_after), response.refusal)
        return _lease(response.lease)

    async def heartbeat(self, lease: Lease, usage: Usage) -> Beat:
        """Renew. A cancelled round counts as lost."""
        request = pb.HeartbeatRequest(round_id=str(lease.round_id), fence=lease.fence, usage=_usage(usage))
        response = await self._call(self._stub.Heartbeat, request)
        if response.cancelled:
            raise LeaseLost("the round was cancelled")
        return Beat(_seconds(response.ttl), response.hand_back)

    async def report(self, lease: Lease, report: Report) -> None:
        request = pb.ReportRequest(
            round_id=str(lease.round_id),
            fence=lease.fence,
            step=report.step,
            learning_rate=report.learning_rate,
            branches=[
                pb.BranchError(
                    branch=one.branch,
                    energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
                    force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
                )
                for one in report.branches
            ],
            frames_per_second=report.frames_per_second,
            eta=_duration(report.eta_seconds),
        )
        await self._call(self._stub.Report, request)

    async def checkpoint(self, lease: Lease, checkpoint: Checkpoint) -> None:
        stored = pb.StoredCheckpoint(blob=_blob(checkpoint.blob), step=checkpoint.step)
        request = pb.CheckpointRequest(round_id=str(lease.round_id), fence=lease.fence, checkpoint=stored)
        await self._call(self._stub.Checkpoint, request)

    async def hand_back(self, lease: Lease, reason: str, usage: Usage) -> None:
        request = pb.HandBackRequest(
            round_id=str(lease.round_id), fence=lease.fence, reason=reason, usage=_usage(usage)
        )
        await self._call(self._stub.HandBack, request)

    async def fail(self, lease: Lease, rule: str, reason: str, usage: Usage, *, retryable: bool) -> bool:
        """Returns whether another attempt will follow."""
        request = pb.FailRequest(
            round_id=str(lease.round_id),
            fence=lease.fence,
            rule=rule,
            reason=reason,
            retryable=retryable,
            usage=_usage(usage),
        )
        return bool((await self._call(self._stub.Fail, request)).will_retry)

    async def submit(self, lease: Lease, manifest: BlobRef) -> Verdict:
        request = pb.SubmitRequest(round_id=str(lease.round_id), fence=lease.fence, manifest=_blob(manifest))
        response = await self._call(self._stub.Submit, request, self._submit_deadline)
        return Verdict(response.version or None, response.published)

    async def _call(
        self, method: Callable[..., Awaitable[Response]], request: Request, deadline: float | None = None
    ) -> Response:
        return await asked(method, request, deadline or self._deadline)


def hardware_of(worker: pb.Worker, device: str) -> Hardware:
    """What the worker announced of the machine that it trains on, as a manifest says it."""
    return Hardware(
        cpu=worker.cpu_name or None,
        cpu_cores=worker.cpu_cores or None,
        memory_bytes=worker.memory_bytes or None,
        gpus=tuple(Gpu(name=one.name, memory_bytes=one.memory_bytes or None) for one in worker.gpu_devices),
        device=device,
    )


def _usage(usage: Usage) -> pb.Usage:
    return pb.Usage(
        core_seconds=usage.core_seconds,
        gpu_seconds=usage.gpu_seconds,
        cpu_joules=usage.cpu_joules,
        gpu_joules=usage.gpu_joules,
    )


def _lease(lease: pb.Lease) -> Lease:
    spec = lease.spec
    resume = lease.resume_from
    return Lease(
        round_id=UUID(lease.round_id),
        fence=lease.fence,
        attempt=lease.attempt,
        ttl_seconds=_seconds(lease.ttl),
        preset=spec.preset,
        total_steps=spec.total_steps,
        seed=spec.seed,
        parent_manifest=_ref(spec.parent_manifest) if spec.HasField("parent_manifest") else None,
        parent_version=spec.parent_version or None,
        branches=tuple(_branch(branch) for branch in spec.branches),
        left_out_branches=tuple(spec.left_out_branches),
        resume_from=Checkpoint(_ref(resume.blob), resume.step) if lease.HasField("resume_from") else None,
        traceparent=lease.traceparent or None,
        learning_rate_factor=lease.learning_rate_factor or 1.0,
        standard=_ref(spec.standard_dataset) if spec.HasField("standard_dataset") else None,
    )


def _branch(branch: pb.RoundBranch) -> LeasedBranch:
    return LeasedBranch(
        name=branch.name,
        dataset=DatasetRef(dataset_id=UUID(branch.dataset_id), version=branch.dataset_version),
        manifest=_ref(branch.dataset_manifest),
        metric_report=_ref(branch.metric_report) if branch.HasField("metric_report") else None,
        is_new=branch.is_new,
        nearest=branch.nearest_branch or None,
        energy_shift_ev=dict(branch.energy_shift_ev),
        weight=branch.weight,
        test_frames=tuple(branch.left_out_frames),
    )


def _ref(blob: pb.Blob) -> BlobRef:
    return BlobRef(key=blob.key, sha256=blob.sha256, size=blob.size)


def _blob(ref: BlobRef) -> pb.Blob:
    return pb.Blob(key=ref.key, sha256=ref.sha256, size=ref.size)


def _seconds(duration: Duration) -> float:
    return duration.ToNanoseconds() / 1e9


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
