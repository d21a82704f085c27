"""contracts.registry.v1 on the wire: admit the caller, find the answer that was given before or make one.

Methods take and give bytes: an answer that is kept is sent as it is, without decoding the question.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from contracts.registry.v1 import registry_pb2 as registry
from google.protobuf.message import DecodeError, Message
from kit.callers import Callers, TooManyCalls, Unknown

from registry.domain.refusals import NotAdmitted, TooMuch
from registry.domain.rounds import InvalidRequest
from registry.queries.answers import Answers, within
from registry.queries.other_answers import OtherAnswers
from registry.queries.watching import Watchers
from registry.statuses import Context, answering

SERVICE = registry.DESCRIPTOR.services_by_name["RegistryService"].full_name
KEPT_REQUEST_BYTES = 4096
"""Answers to larger questions are not kept: nobody asks them twice."""

Handler = Callable[[bytes, Context], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one answer, and of how long one that was given before may be given again without a look at the database.

    trusting  answer from memory while the catalogue is followed: an answer may be as old as NOTIFY takes; False: look
    """

    seconds: float
    trusting: bool


class QueryServicer:
    """One listener's methods. `callers`: who may ask; None: whoever reaches it (or whom the server has let in)."""

    def __init__(
        self,
        answers: Answers,
        others: OtherAnswers,
        watchers: Watchers,
        limits: Limits,
        callers: Callers | None = None,
    ) -> None:
        self._answers = answers
        self._others = others
        self._watchers = watchers
        self._limits = limits
        self._callers = callers

    def handler(self) -> grpc.GenericRpcHandler:
        methods: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._kept(name)) for name in self._answers.answers
        }
        methods |= {
            name: grpc.unary_unary_rpc_method_handler(self._made(kind, answer))
            for name, (kind, answer) in self._others.answers.items()
        }
        methods["Watch"] = grpc.unary_stream_rpc_method_handler(self._watch)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _kept(self, name: str) -> Handler:
        """A method whose answers depend on the catalogue's revision alone."""
        kind, _ = self._answers.answers[name]
        trusting, kept = self._limits.trusting, self._answers.kept

        async def method(request: bytes, context: Context) -> bytes:
            if self._callers is not None:
                await self._admit(self._callers, context)
            if trusting and (answer := kept(name, request)) is not None:
                return answer
            async with answering(context):
                parsed = _parsed(kind, request)
                return await within(
                    self._limits.seconds, self._answers.encoded(name, request, parsed, trusting=trusting)
                )
            raise AssertionError("answering has ended the call")

        return method

    def _made(self, kind: type[Message], answer: Callable[[Any], Awaitable[Message]]) -> Handler:
        """A method whose answers are made anew each time."""

        async def method(request: bytes, context: Context) -> bytes:
            if self._callers is not None:
                await self._admit(self._callers, context)
            async with answering(context):
                parsed = _parsed(kind, request)
                message = await within(self._limits.seconds, answer(parsed))
                return message.SerializeToString()
            raise AssertionError("answering has ended the call")

        return method

    async def _admit(self, callers: Callers, context: Context) -> None:
        """Ends the call of one who may not ask, or asks too often."""
        authorization = None
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                authorization = value
        try:
            callers.admit(authorization, context.peer())
        except (Unknown, TooManyCalls) as error:
            async with answering(context):
                if isinstance(error, TooManyCalls):
                    words = f"you ask more often than one caller may; ask again in {error.retry_seconds:.2g} s"
                    raise TooMuch(words, error.retry_seconds) from error
                raise NotAdmitted(
                    "missing or wrong bearer token: send the metadata 'authorization: Bearer <token>'"
                ) from error

    async def _watch(self, request: bytes, context: Context) -> None:
        if self._callers is not None:
            await self._admit(self._callers, context)
        async with answering(context):
            parsed = _parsed(registry.WatchRequest, request)
            with self._watchers.joined() as watcher:
                position = 0
                async for message in self._others.watched(parsed, watcher):
                    position = message.position or position
                    if not await _written(context, message.SerializeToString(), watcher.fell_behind):
                        break
                if watcher.fell_behind.is_set():
                    raise TooMuch(
                        "you read more slowly than changes come, and what waited for you was dropped; watch again "
                        f"with after_position={position}",
                        1.0,
                    )


async def _written(context: Context, data: bytes, fell_behind: asyncio.Event) -> bool:
    """Send one answer. False when the reader did not take it before it fell behind."""
    writing = asyncio.ensure_future(context.write(data))
    giving_up = asyncio.ensure_future(fell_behind.wait())
    try:
        await asyncio.wait((writing, giving_up), return_when=asyncio.FIRST_COMPLETED)
    finally:
        giving_up.cancel()
        if not writing.done():
            writing.cancel()
    if writing.done() and not writing.cancelled():
        writing.result()
        return True
    return False


def add_queries(servicer: QueryServicer, server: grpc.aio.Server) -> None:
    """As the generated `add_RegistryServiceServicer_to_server`, for methods that take and give bytes."""
    server.add_generic_rpc_handlers((servicer.handler(),))


def _parsed(kind: type[Message], request: bytes) -> Any:
    try:
        return kind.FromString(request)
    except DecodeError:
        raise InvalidRequest(f"the request is not a {kind.DESCRIPTOR.full_name}") from None
