"""A registry's side of contracts.operator.v1 that remembers what operators asked of it."""

from dataclasses import dataclass, field
from typing import Any, cast

import grpc
from contracts.operator.v1 import operator_pb2 as pb
from contracts.operator.v1 import operator_pb2_grpc
from kit.rpc import ServiceEntry
from pydantic import SecretStr

NAME = pb.DESCRIPTOR.services_by_name["OperatorService"].full_name
ROUND_ID = "9d1f1a9e-3d5e-4a9e-9c58-0c1f4a1f3c11"
FAILED_ROUND_ID = "1f0c2a44-7d5e-4f1e-8a58-0c1f4a1f3c22"


@dataclass
class Asked:
    """What was asked, and what GetLine tells."""

    paused: bool = False
    open_round: bool = True
    calls: list[Any] = field(default_factory=list)


class StandIn(operator_pb2_grpc.OperatorServiceServicer):
    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    async def GetLine(self, request: pb.GetLineRequest, context: Any) -> pb.GetLineResponse:
        round_ = pb.Round(round_id=ROUND_ID, state="training", worker="worker-1", step=10, total_steps=100)
        round_.new_datasets.add(title="Secret perovskite", private=True, state="training")
        return pb.GetLineResponse(
            paused=self._asked.paused,
            inquiry=pb.Inquiry(kind="bisect", round_id=FAILED_ROUND_ID),
            open_round=round_ if self._asked.open_round else None,
            waiting=[pb.Dataset()],
        )

    async def ListRounds(self, request: pb.ListRoundsRequest, context: Any) -> pb.ListRoundsResponse:
        round_ = pb.Round(round_id=ROUND_ID, state="training", worker="worker-1", step=10, total_steps=100)
        round_.new_datasets.add(title="Secret perovskite", private=True, state="training")
        failed = pb.Round(round_id=FAILED_ROUND_ID, state="withheld", total_steps=100, reason="learned")
        failed.new_datasets.add(title="Silicon", state="withheld")
        failed.new_datasets.add(title="Carbide", state="withheld")
        return pb.ListRoundsResponse(rounds=[round_, failed])

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Any) -> pb.ListWorkersResponse:
        worker = pb.Worker(worker_id="worker-1", hostname="node7", cpu_name="a CPU", cpu_cores=8, live=True)
        return pb.ListWorkersResponse(workers=[worker])

    async def BisectRound(self, request: pb.BisectRoundRequest, context: Any) -> pb.BisectRoundResponse:
        self._asked.calls.append(request)
        return pb.BisectRoundResponse()

    async def StopInquiry(self, request: pb.StopInquiryRequest, context: Any) -> pb.StopInquiryResponse:
        self._asked.calls.append(request)
        return pb.StopInquiryResponse()

    async def MoveAlias(self, request: pb.MoveAliasRequest, context: Any) -> pb.MoveAliasResponse:
        self._asked.calls.append(request)
        return pb.MoveAliasResponse()

    async def RollBackAlias(self, request: pb.RollBackAliasRequest, context: Any) -> pb.RollBackAliasResponse:
        self._asked.calls.append(request)
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "latest never pointed elsewhere")
        raise AssertionError("abort does not return")

    async def Pause(self, request: pb.PauseRequest, context: Any) -> pb.PauseResponse:
        self._asked.calls.append(request)
        self._asked.paused = True
        return pb.PauseResponse(worker="worker-1")

    async def Resume(self, request: pb.ResumeRequest, context: Any) -> pb.ResumeResponse:
        self._asked.calls.append(request)
        self._asked.paused = False
        return pb.ResumeResponse(resumed=True)

    async def CancelRound(self, request: pb.CancelRoundRequest, context: Any) -> pb.CancelRoundResponse:
        self._asked.calls.append(request)
        if not self._asked.open_round:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no round is open")
        self._asked.open_round = False
        return pb.CancelRoundResponse(round_id=request.round_id)


def entry(asked: Asked, token: str) -> ServiceEntry:
    return ServiceEntry(
        operator_pb2_grpc.add_OperatorServiceServicer_to_server, cast(Any, StandIn)(asked), NAME, SecretStr(token)
    )
