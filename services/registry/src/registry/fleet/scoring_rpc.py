"""contracts.fleet.v1.ScoringService: decode, transaction, one use case, map errors to status codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.fleet.v1 import scoring_pb2 as pb
from contracts.fleet.v1 import scoring_pb2_grpc
from kit.db import Database
from kit.queries import Connection

from registry.domain.rounds import InvalidRequest
from registry.domain.scores import ScoringLease
from registry.fleet.wire import errors_of, to_blob, to_duration
from registry.rounds.scoring import Scorings
from registry.statuses import Context, answering

RETRY_AFTER_SECONDS = 10.0


class ScoringServicer(scoring_pb2_grpc.ScoringServiceServicer):
    """Idle trainers score published models on the standard dataset."""

    def __init__(self, database: Database, scorings: Scorings) -> None:
        self._database = database
        self._scorings = scorings

    @asynccontextmanager
    async def _transaction(self, context: Context) -> AsyncIterator[Connection]:
        async with answering(context), self._database.transaction() as conn:
            yield conn

    async def LeaseScoring(self, request: pb.LeaseScoringRequest, context: Context) -> pb.LeaseScoringResponse:
        async with self._transaction(context) as conn:
            if not request.worker_id:
                raise InvalidRequest("worker_id is empty: name the worker that takes the lease")
            lease = await self._scorings.lease(conn, request.worker_id)
        if lease is None:
            return pb.LeaseScoringResponse(retry_after=to_duration(RETRY_AFTER_SECONDS))
        return pb.LeaseScoringResponse(lease=_to_lease(lease))

    async def BeatScoring(self, request: pb.BeatScoringRequest, context: Context) -> pb.BeatScoringResponse:
        async with self._transaction(context) as conn:
            ttl, leave = await self._scorings.beat(conn, request.model_version, request.fence)
        return pb.BeatScoringResponse(ttl=to_duration(ttl), hand_back=leave)

    async def SubmitScores(self, request: pb.SubmitScoresRequest, context: Context) -> pb.SubmitScoresResponse:
        async with self._transaction(context) as conn:
            errors = errors_of(request.branches)
            await self._scorings.submit(conn, request.model_version, request.fence, errors)
        return pb.SubmitScoresResponse()

    async def GiveUpScoring(self, request: pb.GiveUpScoringRequest, context: Context) -> pb.GiveUpScoringResponse:
        async with self._transaction(context) as conn:
            await self._scorings.give_up(conn, request.model_version, request.fence, request.rule, request.reason)
        return pb.GiveUpScoringResponse()


def _to_lease(lease: ScoringLease) -> pb.ScoringLease:
    return pb.ScoringLease(
        model_version=lease.scoring.version,
        fence=lease.scoring.fence,
        ttl=to_duration(lease.ttl_seconds),
        model_manifest=to_blob(lease.model_manifest),
        standard_dataset=to_blob(lease.standard),
        branches=[pb.ScoringBranch(name=one.name, own_branch=one.own or "") for one in lease.branches],
    )
