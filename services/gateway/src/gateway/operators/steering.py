"""The registry as an operator steers it: contracts.operator.v1, with its token."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import grpc
from contracts.operator.v1 import operator_pb2 as pb
from contracts.operator.v1.operator_pb2_grpc import OperatorServiceStub
from kit.rpc import channel

from gateway.problems import Problem
from gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from contracts.operator.v1.operator_pb2_grpc import OperatorServiceAsyncStub

DEADLINE_SECONDS = 5.0
ROUNDS = 20
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Growth:
    """What goes on. `workers` is none when the registry does not tell."""

    line: pb.GetLineResponse
    rounds: tuple[pb.Round, ...]
    workers: tuple[pb.Worker, ...] | None


class Steering:
    """Raises Problem: 503 when the registry does not answer, 409 with its words when it refuses."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._address = settings.registry_address
        self._token = settings.registry_operator_token
        self._channel: grpc.aio.Channel | None = None

    async def growth(self) -> Growth:
        stub = self._stub()
        line = await _asked(stub.GetLine(pb.GetLineRequest(), timeout=DEADLINE_SECONDS))
        rounds = await _asked(stub.ListRounds(pb.ListRoundsRequest(page_size=ROUNDS), timeout=DEADLINE_SECONDS))
        workers: tuple[pb.Worker, ...] | None = None
        try:
            workers = tuple((await stub.ListWorkers(pb.ListWorkersRequest(), timeout=DEADLINE_SECONDS)).workers)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise _problem(error) from None
        return Growth(line, tuple(rounds.rounds), workers)

    async def pause(self, reason: str) -> None:
        await _asked(self._stub().Pause(pb.PauseRequest(reason=reason), timeout=DEADLINE_SECONDS))

    async def resume(self) -> None:
        await _asked(self._stub().Resume(pb.ResumeRequest(), timeout=DEADLINE_SECONDS))

    async def cancel(self, round_id: str, reason: str, pause: bool) -> None:
        request = pb.CancelRoundRequest(round_id=round_id, reason=reason, pause=pause)
        await _asked(self._stub().CancelRound(request, timeout=DEADLINE_SECONDS))

    async def bisect(self, round_id: str) -> None:
        await _asked(self._stub().BisectRound(pb.BisectRoundRequest(round_id=round_id), timeout=DEADLINE_SECONDS))

    async def stop_inquiry(self, reason: str) -> None:
        await _asked(self._stub().StopInquiry(pb.StopInquiryRequest(reason=reason), timeout=DEADLINE_SECONDS))

    async def move_alias(self, alias: str, version: str, reason: str) -> None:
        request = pb.MoveAliasRequest(alias=alias, version=version, reason=reason)
        await _asked(self._stub().MoveAlias(request, timeout=DEADLINE_SECONDS))

    async def roll_back_alias(self, alias: str, reason: str) -> None:
        request = pb.RollBackAliasRequest(alias=alias, reason=reason)
        await _asked(self._stub().RollBackAlias(request, timeout=DEADLINE_SECONDS))

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    def _stub(self) -> "OperatorServiceAsyncStub":
        if self._address is None:
            raise Problem(
                503,
                "registry-not-set",
                "The registry is not known here",
                "This site was not told where the registry is.",
                remedy="Set POTLUCK_GATEWAY_REGISTRY_ADDRESS and POTLUCK_GATEWAY_REGISTRY_OPERATOR_TOKEN.",
            )
        if self._channel is None:
            self._channel = channel(self._address, self._token)
        return OperatorServiceStub(self._channel)


async def _asked(answer: Awaitable[Answer]) -> Answer:
    try:
        return await answer
    except grpc.aio.AioRpcError as error:
        raise _problem(error) from None


def _problem(error: grpc.aio.AioRpcError) -> Problem:
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Problem(
            503,
            "registry-away",
            "The registry does not answer",
            "Rounds and workers cannot be seen or steered just now. Nothing is lost: what trains goes on.",
            remedy="Try again in a moment; look whether the registry runs.",
            headers={"retry-after": "5"},
        )
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED):
        return Problem(
            503,
            "registry-token",
            "The registry does not take our token",
            "The operators' token here is not the registry's.",
            remedy="Set POTLUCK_REGISTRY_OPERATOR_TOKEN and POTLUCK_GATEWAY_REGISTRY_OPERATOR_TOKEN to the same.",
        )
    return Problem(409, "registry-refused", "The registry refused", error.details() or error.code().name)
