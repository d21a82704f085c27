"""gRPC in: decode, transaction, one use case, map errors to status codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1 import fleet_pb2_grpc
from kit.db import Database
from kit.queries import Connection

from registry.domain.rounds import Decision, NoOffer
from registry.fleet.wire import (
    announcement_of,
    blob_of,
    checkpoint_of,
    progress_of,
    round_id_of,
    to_duration,
    to_lease,
    usage_of,
)
from registry.rounds.growth import Growth
from registry.rounds.service import Rounds
from registry.statuses import Context, answering

RETRY_AFTER_SECONDS = 2.0


class FleetServicer(fleet_pb2_grpc.FleetServiceServicer):
    """contracts.fleet.v1: trainers lease, beat, report and submit."""

    def __init__(self, database: Database, rounds: Rounds, growth: Growth) -> None:
        self._database = database
        self._rounds = rounds
        self._growth = growth

    @asynccontextmanager
    async def _transaction(self, context: Context) -> AsyncIterator[Connection]:
        async with answering(context), self._database.transaction() as conn:
            yield conn

    async def Lease(self, request: fleet.LeaseRequest, context: Context) -> fleet.LeaseResponse:
        async with self._transaction(context) as conn:
            offer = await self._rounds.lease(conn, announcement_of(request.worker))
        if isinstance(offer, NoOffer):
            return fleet.LeaseResponse(retry_after=to_duration(RETRY_AFTER_SECONDS), refusal=offer.refusal)
        return fleet.LeaseResponse(lease=to_lease(offer))

    async def Heartbeat(self, request: fleet.HeartbeatRequest, context: Context) -> fleet.HeartbeatResponse:
        async with self._transaction(context) as conn:
            beat = await self._rounds.heartbeat(conn, round_id_of(request.round_id), request.fence, usage_of(request))
        return fleet.HeartbeatResponse(
            ttl=to_duration(beat.ttl_seconds), cancelled=beat.cancelled, hand_back=beat.hand_back
        )

    async def Report(self, request: fleet.ReportRequest, context: Context) -> fleet.ReportResponse:
        async with self._transaction(context) as conn:
            await self._rounds.report(conn, round_id_of(request.round_id), request.fence, progress_of(request))
        return fleet.ReportResponse()

    async def Checkpoint(self, request: fleet.CheckpointRequest, context: Context) -> fleet.CheckpointResponse:
        async with self._transaction(context) as conn:
            await self._rounds.checkpoint(
                conn, round_id_of(request.round_id), request.fence, checkpoint_of(request.checkpoint)
            )
        return fleet.CheckpointResponse()

    async def HandBack(self, request: fleet.HandBackRequest, context: Context) -> fleet.HandBackResponse:
        async with self._transaction(context) as conn:
            await self._rounds.hand_back(
                conn, round_id_of(request.round_id), request.fence, request.reason, usage_of(request)
            )
        return fleet.HandBackResponse()

    async def Fail(self, request: fleet.FailRequest, context: Context) -> fleet.FailResponse:
        async with self._transaction(context) as conn:
            will_retry = await self._rounds.fail(
                conn,
                round_id_of(request.round_id),
                request.fence,
                request.rule or "crashed",
                request.reason,
                request.retryable,
                usage_of(request),
            )
        return fleet.FailResponse(will_retry=will_retry)

    async def Submit(self, request: fleet.SubmitRequest, context: Context) -> fleet.SubmitResponse:
        async with answering(context):
            reference = blob_of(request.manifest, "manifest")
            async with self._database.transaction() as conn:
                opened = await self._growth.open(conn, round_id_of(request.round_id), request.fence)
            if isinstance(opened, Decision):
                decision = opened
            else:
                examined = await self._growth.examine(opened, reference)
                async with self._database.transaction() as conn:
                    decision = await self._growth.decide(conn, examined)
        return fleet.SubmitResponse(version=decision.version or "", published=decision.published)
