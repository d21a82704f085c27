"""The operator's command: `python -m registry rounds | pause | bisect …` speaks to a registry that runs.

Exit codes: 0 done, 1 refused (the registry says why), 2 wrong arguments, 3 the registry does not answer.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from contracts.operator.v1 import operator_pb2 as pb
from contracts.operator.v1.operator_pb2_grpc import OperatorServiceStub
from kit.rpc import channel
from kit.settings import problems, service_config
from kit.tls import ClientTls
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings

from registry.operators.words import inquiry_lines, line_lines, round_lines, standard_lines, versions, worker_lines

if TYPE_CHECKING:
    from contracts.operator.v1.operator_pb2_grpc import OperatorServiceAsyncStub

REFUSED, NO_ANSWER = 1, 3
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class OperatorSettings(BaseSettings):
    """Environment variables POTLUCK_REGISTRY_…, those of the registry itself."""

    model_config = service_config("registry")

    address: str = Field(description="host:port of the registry's gRPC")
    operator_token: SecretStr | None = Field(default=None, description="bearer token of operators")
    operator_ca: Path | None = Field(
        default=None, description="PEM file of the authority that signed the registry's certificate; none: no TLS"
    )
    operator_certificate: Path | None = Field(default=None, description="PEM file: the operator's own certificate")
    operator_key: Path | None = Field(default=None, description="PEM file of its key")
    deadline_seconds: float = Field(default=20, gt=0, description="how long an answer may take")

    @property
    def tls(self) -> ClientTls | None:
        """How the registry is known, where it speaks TLS."""
        if self.operator_ca is None:
            return None
        return ClientTls(self.operator_ca, self.operator_certificate, self.operator_key)

    @model_validator(mode="after")
    def _certificates_can_be_used(self) -> "OperatorSettings":
        if self.tls is not None:
            self.tls.check()
        return self


class Command:
    """One method a verb; each returns the lines to print."""

    def __init__(self, stub: "OperatorServiceAsyncStub", deadline: float) -> None:
        self._stub = stub
        self._deadline = deadline

    async def status(self, _given: argparse.Namespace) -> list[str]:
        return line_lines(await self._stub.GetLine(pb.GetLineRequest(), timeout=self._deadline))

    async def rounds(self, given: argparse.Namespace) -> list[str]:
        request = pb.ListRoundsRequest(page_size=given.count)
        answer = await self._stub.ListRounds(request, timeout=self._deadline)
        return [line for round_ in answer.rounds for line in round_lines(round_)] or ["no round was planned yet"]

    async def workers(self, given: argparse.Namespace) -> list[str]:
        answer = await self._stub.ListWorkers(pb.ListWorkersRequest(all=given.all), timeout=self._deadline)
        return [line for one in answer.workers for line in worker_lines(one)] or ["no worker is connected"]

    async def pause(self, given: argparse.Namespace) -> list[str]:
        answer = await self._stub.Pause(pb.PauseRequest(reason=given.reason), timeout=self._deadline)
        asked = f"; {answer.worker} saves a checkpoint and hands its round back" if answer.worker else ""
        return [f"paused: nothing is planned or leased until you resume{asked}"]

    async def resume(self, _given: argparse.Namespace) -> list[str]:
        answer = await self._stub.Resume(pb.ResumeRequest(), timeout=self._deadline)
        return ["resumed" if answer.resumed else "it was not paused"]

    async def cancel(self, given: argparse.Namespace) -> list[str]:
        request = pb.CancelRoundRequest(round_id=given.round or "", reason=given.reason, pause=given.pause)
        answer = await self._stub.CancelRound(request, timeout=self._deadline)
        then = "paused, so they wait until you resume" if given.pause else "the next round takes them"
        return [f"round {answer.round_id} is cancelled; {len(answer.waiting)} datasets wait again ({then})"]

    async def rerun(self, given: argparse.Namespace) -> list[str]:
        request = pb.RerunRoundRequest(round_id=given.round, without=given.without)
        return inquiry_lines((await self._stub.RerunRound(request, timeout=self._deadline)).inquiry)

    async def bisect(self, given: argparse.Namespace) -> list[str]:
        request = pb.BisectRoundRequest(round_id=given.round)
        return inquiry_lines((await self._stub.BisectRound(request, timeout=self._deadline)).inquiry)

    async def stop(self, given: argparse.Namespace) -> list[str]:
        answer = await self._stub.StopInquiry(pb.StopInquiryRequest(reason=given.reason), timeout=self._deadline)
        return [f"stopped; {len(answer.waiting)} datasets wait again"]

    async def withdraw(self, given: argparse.Namespace) -> list[str]:
        request = pb.WithdrawDatasetRequest(dataset=given.dataset, reason=given.reason)
        answer = await self._stub.WithdrawDataset(request, timeout=self._deadline)
        lines = [
            "withdrawn: the next round leaves it out",
            f"trained on it: {versions(answer.trained_versions)}",
            f"grew from those without it: {versions(answer.descended_versions)}",
        ]
        if answer.cancelled_round_id:
            lines.append(f"round {answer.cancelled_round_id} trained on it and was cancelled")
        return lines

    async def weigh(self, given: argparse.Namespace) -> list[str]:
        request = pb.SetWeightRequest(dataset=given.dataset, weight=given.weight)
        await self._stub.SetWeight(request, timeout=self._deadline)
        return [f"weight {given.weight:g} from the next round on" if given.weight else "weighed by its frames again"]

    async def alias(self, given: argparse.Namespace) -> list[str]:
        request = pb.MoveAliasRequest(alias=given.alias, version=given.version, reason=given.reason)
        answer = await self._stub.MoveAlias(request, timeout=self._deadline)
        return [f"{given.alias}: {answer.previous_version or 'new'} → {given.version}"]

    async def rollback(self, given: argparse.Namespace) -> list[str]:
        request = pb.RollBackAliasRequest(alias=given.alias, reason=given.reason)
        answer = await self._stub.RollBackAlias(request, timeout=self._deadline)
        return [f"{given.alias}: {answer.previous_version} → {answer.version}"]

    async def standard(self, _given: argparse.Namespace) -> list[str]:
        return standard_lines(await self._stub.ListStandards(pb.ListStandardsRequest(), timeout=self._deadline))

    async def retire(self, given: argparse.Namespace) -> list[str]:
        request = pb.RetireModelRequest(version=given.version, reason=given.reason)
        await self._stub.RetireModel(request, timeout=self._deadline)
        return [f"model {given.version} is retired"]


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    given = _arguments().parse_args(arguments)
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        print("\n".join(problems(OperatorSettings, error)), file=sys.stderr)
        return 2
    try:
        lines = asyncio.run(_speak(settings, given))
    except grpc.aio.AioRpcError as error:
        if error.code() in AWAY:
            print(f"no registry answers at {settings.address}: does it run?", file=sys.stderr)
            return NO_ANSWER
        print(_refusal(error), file=sys.stderr)
        return REFUSED
    print("\n".join(lines))
    return 0


def _refusal(error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "this registry takes no operators: set POTLUCK_REGISTRY_OPERATOR_TOKEN where it runs, and here"
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return "the registry does not know this token: set POTLUCK_REGISTRY_OPERATOR_TOKEN as where it runs"
    return f"refused: {error.details()}"


async def _speak(settings: OperatorSettings, given: argparse.Namespace) -> list[str]:
    async with channel(settings.address, settings.operator_token, settings.tls) as connection:
        stub: OperatorServiceAsyncStub = OperatorServiceStub(connection)
        verb: Callable[[argparse.Namespace], Awaitable[list[str]]] = getattr(
            Command(stub, settings.deadline_seconds), given.verb
        )
        return await verb(given)


def dataset_ref(text: str) -> pb.DatasetRef:
    """'<dataset id>' or '<dataset id>/<version>'; without one, version 1."""
    dataset_id, _, version = text.partition("/")
    if version and not (version.isascii() and version.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not '<dataset id>/<version>'")
    return pb.DatasetRef(dataset_id=dataset_id, version=int(version or 1))


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 200):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 200")
    return int(text)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m registry", description="Steer growth. Without a command: serve.")
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, about: str, *, reason: bool = True) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=about, description=about)
        if reason:
            one.add_argument("--reason", default="", help="why, in words that contributors may read")
        return one

    verb("status", "what is going on", reason=False)
    verb("rounds", "the newest rounds with every rule's numbers", reason=False).add_argument(
        "--count", type=positive, default=5, help="how many (default 5)"
    )
    verb(
        "workers",
        "machines that train: hardware, versions, what they do, why one was not offered a round",
        reason=False,
    ).add_argument("--all", action="store_true", help="those too that are gone")
    verb("pause", "plan and lease nothing; the worker saves a checkpoint and hands its round back")
    verb("resume", "undo pause", reason=False)
    cancel = verb("cancel", "end the open round; its datasets wait again")
    cancel.add_argument("round", nargs="?", help="round id (default: the open one)")
    cancel.add_argument("--pause", action="store_true", help="and plan no other round until you resume")
    rerun = verb("rerun", "train a round that ended without a model again, without one dataset", reason=False)
    rerun.add_argument("round", help="round id")
    rerun.add_argument("--without", type=dataset_ref, help="dataset id, or <dataset id>/<version>")
    bisect = verb("bisect", "find which datasets made a round end without a model, by halves", reason=False)
    bisect.add_argument("round", help="round id")
    verb("stop", "end a bisection or a re-run; what it still held waits again")
    withdraw = verb("withdraw", "leave a dataset out of all rounds to come and mark the versions that it trained")
    weigh = verb("weigh", "set how often a dataset is drawn in training", reason=False)
    for one in (withdraw, weigh):
        one.add_argument("dataset", type=dataset_ref, help="dataset id, or <dataset id>/<version>")
    weigh.add_argument("weight", type=float, help="in place of √frames; 0: by its frames again")
    move = verb("alias", "let an alias point to a version")
    rollback = verb("rollback", "let an alias point to the version before")
    for one in (move, rollback):
        one.add_argument("alias", help="e.g. stable")
    move.add_argument("version", help="e.g. 1.2")
    verb("retire", "offer a version no longer").add_argument("version", help="e.g. 1.2")
    verb("standard", "versions of the standard dataset, and which models are scored on the newest", reason=False)
    return parser
