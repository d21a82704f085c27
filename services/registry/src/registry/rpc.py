"""gRPC in: decode, transaction, one use case, map errors to status codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import psycopg
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1 import fleet_pb2_grpc
from contracts.registry.v1 import registry_pb2 as registry
from contracts.registry.v1 import registry_pb2_grpc
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from registry.domain import (
    Decision,
    InvalidRequest,
    NoOffer,
    NotInThisState,
    NotStored,
    RegistryError,
    StaleFence,
    UnknownDataset,
    UnknownModel,
    UnknownRound,
)
from registry.growth import Growth
from registry.service import Rounds
from registry.store import Store
from registry.wire import (
    announcement_of,
    blob_of,
    checkpoint_of,
    page_size_of,
    progress_of,
    round_id_of,
    sequence_token_of,
    to_alias_move,
    to_duration,
    to_lease,
    to_model,
    to_round,
    usage_of,
    version_token_of,
)

log = get_logger(__name__)

# FAILED_PRECONDITION means one thing to a worker: a successor owns the round, drop it. To an operator: not now.
STATUS: dict[type[RegistryError], grpc.StatusCode] = {
    UnknownRound: grpc.StatusCode.NOT_FOUND,
    UnknownModel: grpc.StatusCode.NOT_FOUND,
    UnknownDataset: grpc.StatusCode.NOT_FOUND,
    StaleFence: grpc.StatusCode.FAILED_PRECONDITION,
    NotInThisState: grpc.StatusCode.FAILED_PRECONDITION,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotStored: grpc.StatusCode.INVALID_ARGUMENT,
}
RETRY_AFTER_SECONDS = 2.0

Context = grpc.aio.ServicerContext[Any, Any]


@asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """Turn errors into status codes with details that say what to do."""
    try:
        yield
    except RegistryError as error:
        await context.abort(STATUS[type(error)], str(error))
    except (ValidationError, psycopg.DataError) as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except (psycopg.OperationalError, PoolTimeout, OSError) as error:
        log.warning("call-waits-for-infrastructure", error=repr(error))
        await context.abort(
            grpc.StatusCode.UNAVAILABLE, "the registry's database or storage does not answer; try again"
        )
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        log.exception("call-failed", error=repr(error))
        await context.abort(grpc.StatusCode.INTERNAL, "the registry failed; its log says why")


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


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """contracts.registry.v1: what models there are."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    @asynccontextmanager
    async def _transaction(self, context: Context) -> AsyncIterator[Connection]:
        async with answering(context), self._database.transaction() as conn:
            yield conn

    async def _version(self, conn: Connection, version_or_alias: str) -> str:
        if not version_or_alias:
            raise InvalidRequest("version_or_alias is empty; ask for a version like '1.0' or for 'latest'")
        version = await self._store.resolve(conn, version_or_alias)
        if version is None:
            raise UnknownModel(f"there is no model {version_or_alias!r}")
        return version

    async def GetModel(self, request: registry.GetModelRequest, context: Context) -> registry.GetModelResponse:
        async with self._transaction(context) as conn:
            version = await self._version(conn, request.version_or_alias)
            model = await self._store.model(conn, version)
            if model is None:
                raise UnknownModel(f"there is no model {request.version_or_alias!r}")
        return registry.GetModelResponse(model=to_model(model))

    async def ListModels(self, request: registry.ListModelsRequest, context: Context) -> registry.ListModelsResponse:
        async with self._transaction(context) as conn:
            size = page_size_of(request.page_size)
            models = await self._store.models(conn, version_token_of(request.page_token), size + 1)
        shown = models[:size]
        return registry.ListModelsResponse(
            models=[to_model(model) for model in shown],
            next_page_token=shown[-1].version if len(models) > size else "",
        )

    async def GetLineage(self, request: registry.GetLineageRequest, context: Context) -> registry.GetLineageResponse:
        async with self._transaction(context) as conn:
            version = await self._version(conn, request.version_or_alias)
            models = await self._store.lineage(conn, version)
            if not models:
                raise UnknownModel(f"there is no model {request.version_or_alias!r}")
        return registry.GetLineageResponse(models=[to_model(model) for model in models])

    async def ListRounds(self, request: registry.ListRoundsRequest, context: Context) -> registry.ListRoundsResponse:
        async with self._transaction(context) as conn:
            size = page_size_of(request.page_size)
            rounds = await self._store.rounds(conn, sequence_token_of(request.page_token), size + 1)
        shown = rounds[:size]
        return registry.ListRoundsResponse(
            rounds=[to_round(summary) for summary in shown],
            next_page_token=str(shown[-1].round.sequence) if len(rounds) > size else "",
        )

    async def ListAliasMoves(
        self, request: registry.ListAliasMovesRequest, context: Context
    ) -> registry.ListAliasMovesResponse:
        async with self._transaction(context) as conn:
            if not request.alias:
                raise InvalidRequest("alias is empty; ask for 'latest' or 'stable'")
            size = page_size_of(request.page_size)
            before = sequence_token_of(request.page_token)
            moves = await self._store.alias_moves(conn, request.alias, before, size + 1)
        shown = moves[:size]
        return registry.ListAliasMovesResponse(
            moves=[to_alias_move(move) for move in shown],
            next_page_token=str(shown[-1].sequence) if len(moves) > size else "",
        )
