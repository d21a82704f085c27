"""The registry, as an idle trainer speaks to it: contracts.fleet.v1.ScoringService over gRPC."""

from collections.abc import Sequence

import grpc
from contracts.base import BlobRef, BranchError
from contracts.fleet.v1 import fleet_pb2, scoring_pb2_grpc
from contracts.fleet.v1 import scoring_pb2 as pb

from trainer.calls import asked
from trainer.domain import NoWork, ScoringLease, StandardBranch


class ScoringService:
    """Every method raises LeaseLost, RegistryAway or RegistryRefused; none repeats a call by itself."""

    def __init__(self, channel: grpc.aio.Channel, worker_id: str, deadline: float) -> None:
        self._stub = scoring_pb2_grpc.ScoringServiceStub(channel)
        self._worker_id = worker_id
        self._deadline = deadline

    async def lease(self) -> ScoringLease | NoWork:
        request = pb.LeaseScoringRequest(worker_id=self._worker_id)
        response = await asked(self._stub.LeaseScoring, request, self._deadline)
        if not response.HasField("lease"):
            return NoWork(response.retry_after.ToNanoseconds() / 1e9)
        lease = response.lease
        return ScoringLease(
            version=lease.model_version,
            fence=lease.fence,
            ttl_seconds=lease.ttl.ToNanoseconds() / 1e9,
            model_manifest=_ref(lease.model_manifest),
            standard=_ref(lease.standard_dataset),
            branches=tuple(StandardBranch(one.name, one.own_branch or None) for one in lease.branches),
        )

    async def beat(self, lease: ScoringLease) -> bool:
        """Renew; whether the worker must leave because a round waits or growth is paused."""
        request = pb.BeatScoringRequest(model_version=lease.version, fence=lease.fence)
        return bool((await asked(self._stub.BeatScoring, request, self._deadline)).hand_back)

    async def submit(self, lease: ScoringLease, errors: Sequence[BranchError]) -> None:
        request = pb.SubmitScoresRequest(
            model_version=lease.version,
            fence=lease.fence,
            branches=[
                fleet_pb2.BranchError(
                    branch=one.branch,
                    energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
                    force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
                )
                for one in errors
            ],
        )
        await asked(self._stub.SubmitScores, request, self._deadline)

    async def give_up(self, lease: ScoringLease, rule: str, reason: str) -> None:
        """`rule`: empty when the worker leaves in good order."""
        request = pb.GiveUpScoringRequest(model_version=lease.version, fence=lease.fence, rule=rule, reason=reason)
        await asked(self._stub.GiveUpScoring, request, self._deadline)


def _ref(blob: fleet_pb2.Blob) -> BlobRef:
    return BlobRef(key=blob.key, sha256=blob.sha256, size=blob.size)
