"""gRPC of operators: decode, transaction, one use case, map errors to status codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.operator.v1 import operator_pb2 as pb
from contracts.operator.v1 import operator_pb2_grpc
from kit.db import Database
from kit.queries import Connection

from registry.domain.inquiries import Inquiry
from registry.domain.rounds import Round, RoundSummary
from registry.fleet.wire import round_id_of
from registry.operators.offering import Offering
from registry.operators.operations import Operations
from registry.operators.wire import (
    dataset_ref_of,
    to_coverage,
    to_dataset,
    to_inquiry,
    to_refs,
    to_round,
    to_standard,
    to_worker,
)
from registry.queries.pages import before_of, numbered, size_of
from registry.statuses import Context, answering
from registry.store import Store


class OperatorServicer(operator_pb2_grpc.OperatorServiceServicer):
    """contracts.operator.v1: whoever runs the platform steers growth."""

    def __init__(self, database: Database, store: Store, life_seconds: float, max_attempts: int) -> None:
        """`life_seconds`: a worker that was not heard of for longer does not count as live.

        `max_attempts`: a model that could not be scored so often is set aside.
        """
        self._database = database
        self._store = store
        self._life_seconds = life_seconds
        self._max_attempts = max_attempts
        self._operations = Operations(store)
        self._offering = Offering(store)

    @asynccontextmanager
    async def _transaction(self, context: Context) -> AsyncIterator[Connection]:
        async with answering(context), self._database.transaction() as conn:
            yield conn

    async def GetLine(self, request: pb.GetLineRequest, context: Context) -> pb.GetLineResponse:
        async with self._transaction(context) as conn:
            reason = await self._store.pause_reason(conn)
            round_ = await self._store.open_round(conn)
            inquiry = await self._store.newest_inquiry(conn)
            waiting = await self._store.waiting(conn)
            return pb.GetLineResponse(
                paused=reason is not None,
                pause_reason=reason or "",
                open_round=None if round_ is None else await self._round(conn, round_),
                inquiry=None if inquiry is None else await self._inquiry(conn, inquiry),
                waiting=[to_dataset(member) for member in waiting.members],
                waits_for=(round_.held_up or "") if round_ is not None else "",
            )

    async def ListRounds(self, request: pb.ListRoundsRequest, context: Context) -> pb.ListRoundsResponse:
        async with self._transaction(context) as conn:
            size = size_of(request.page_size)
            found = await self._store.rounds(conn, before_of(request.page_token, "ListRounds"), size + 1)
            rounds = [await self._round(conn, one.round, one) for one in found[:size]]
        token = numbered("ListRounds", found[size - 1].round.sequence) if len(found) > size else ""
        return pb.ListRoundsResponse(rounds=rounds, next_page_token=token)

    async def Pause(self, request: pb.PauseRequest, context: Context) -> pb.PauseResponse:
        async with self._transaction(context) as conn:
            worker = await self._operations.pause(conn, request.reason)
        return pb.PauseResponse(worker=worker or "")

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:
        async with self._transaction(context) as conn:
            resumed = await self._operations.resume(conn)
        return pb.ResumeResponse(resumed=resumed)

    async def CancelRound(self, request: pb.CancelRoundRequest, context: Context) -> pb.CancelRoundResponse:
        async with self._transaction(context) as conn:
            round_id = round_id_of(request.round_id) if request.round_id else None
            round_, waiting = await self._operations.cancel(conn, round_id, request.reason, pause=request.pause)
        return pb.CancelRoundResponse(round_id=str(round_.round_id), waiting=to_refs(waiting))

    async def RerunRound(self, request: pb.RerunRoundRequest, context: Context) -> pb.RerunRoundResponse:
        async with self._transaction(context) as conn:
            without = dataset_ref_of(request.without) if request.HasField("without") else None
            inquiry = await self._operations.rerun(conn, round_id_of(request.round_id), without)
            return pb.RerunRoundResponse(inquiry=await self._inquiry(conn, inquiry))

    async def BisectRound(self, request: pb.BisectRoundRequest, context: Context) -> pb.BisectRoundResponse:
        async with self._transaction(context) as conn:
            inquiry = await self._operations.bisect(conn, round_id_of(request.round_id))
            return pb.BisectRoundResponse(inquiry=await self._inquiry(conn, inquiry))

    async def StopInquiry(self, request: pb.StopInquiryRequest, context: Context) -> pb.StopInquiryResponse:
        async with self._transaction(context) as conn:
            waiting = await self._operations.stop(conn, request.reason)
        return pb.StopInquiryResponse(waiting=to_refs(waiting))

    async def WithdrawDataset(self, request: pb.WithdrawDatasetRequest, context: Context) -> pb.WithdrawDatasetResponse:
        async with self._transaction(context) as conn:
            done = await self._operations.withdraw(conn, dataset_ref_of(request.dataset), request.reason)
        return pb.WithdrawDatasetResponse(
            trained_versions=done.trained_versions,
            descended_versions=done.descended_versions,
            cancelled_round_id=str(done.cancelled_round or ""),
        )

    async def SetWeight(self, request: pb.SetWeightRequest, context: Context) -> pb.SetWeightResponse:
        async with self._transaction(context) as conn:
            await self._operations.set_weight(conn, dataset_ref_of(request.dataset), request.weight)
        return pb.SetWeightResponse()

    async def MoveAlias(self, request: pb.MoveAliasRequest, context: Context) -> pb.MoveAliasResponse:
        async with self._transaction(context) as conn:
            previous = await self._offering.move(conn, request.alias, request.version, request.reason)
        return pb.MoveAliasResponse(previous_version=previous or "")

    async def RollBackAlias(self, request: pb.RollBackAliasRequest, context: Context) -> pb.RollBackAliasResponse:
        async with self._transaction(context) as conn:
            previous, version = await self._offering.roll_back(conn, request.alias, request.reason)
        return pb.RollBackAliasResponse(previous_version=previous, version=version)

    async def RetireModel(self, request: pb.RetireModelRequest, context: Context) -> pb.RetireModelResponse:
        async with self._transaction(context) as conn:
            await self._offering.retire(conn, request.version, request.reason)
        return pb.RetireModelResponse()

    async def ListStandards(self, _request: pb.ListStandardsRequest, context: Context) -> pb.ListStandardsResponse:
        async with self._transaction(context) as conn:
            standards = await self._store.standards(conn)
            coverage = await self._store.coverage(conn)
        newest = standards[0].standard.number if standards else 0
        return pb.ListStandardsResponse(
            standards=[to_standard(one) for one in standards],
            coverage=[to_coverage(one, one.state(newest, self._max_attempts)) for one in coverage],
        )

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        async with self._transaction(context) as conn:
            workers = await self._store.workers(conn, self._life_seconds, everyone=request.all)
        return pb.ListWorkersResponse(workers=[to_worker(one) for one in workers])

    async def _round(self, conn: Connection, round_: Round, summary: RoundSummary | None = None) -> pb.Round:
        new = [one.member for one in await self._store.branches(conn, round_.round_id) if one.is_new]
        inquiry_id = await self._store.inquiry_of_round(conn, round_.round_id)
        return to_round(round_, new, summary.rules if summary else (), inquiry_id)

    async def _inquiry(self, conn: Connection, inquiry: Inquiry) -> pb.Inquiry:
        arrivals = sorted({member for group in inquiry.groups for member in group.members})
        return to_inquiry(inquiry, await self._store.members(conn, arrivals))
