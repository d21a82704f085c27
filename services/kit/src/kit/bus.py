"""Events in: JetStream pull consumers with explicit acks, growing retry delays, dead letters and bounded concurrency.

Streams and durables are declared by whoever provisions the platform (see `contracts.topology`), never here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import nats
import psycopg
from contracts.envelope import Attributes, Event, MalformedEvent, from_headers
from contracts.events import parse
from contracts.topology import DEAD_LETTER_PREFIX, DEAD_LETTER_STREAM, EVENT_STREAM, Consumer, consumer
from faststream import AckPolicy
from faststream.exceptions import AckMessage, NackMessage
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.security import SASLPlaintext
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from psycopg_pool import PoolTimeout

from kit.logs import get_logger
from kit.settings import ServiceSettings

log = get_logger(__name__)

REASON_LENGTH = 1000
GRACE_SECONDS = 20.0


class Poison(Exception):
    """This message can never be handled: set it aside as a dead letter at once, with this reason."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A message as it came."""

    durable: str
    subject: str
    headers: Mapping[str, str]
    body: bytes
    attempt: int
    sequence: int = 0
    """Its number in its stream."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event came: its CloudEvents attributes and which try this is (1, 2, …)."""

    durable: str
    attributes: Attributes
    attempt: int


Handler = Callable[[Event, Delivery], Awaitable[None]]
RawHandler = Callable[[Raw], Awaitable[None]]


def is_infrastructure(error: BaseException) -> bool:
    """Something that we depend on is away: not the message's fault, so it is tried for ever."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return isinstance(error, psycopg.OperationalError | PoolTimeout | NatsError | ConnectionError | TimeoutError)


def credentials(settings: ServiceSettings, service: str) -> dict[str, object]:
    """Connection options of nats-py for this service's own user."""
    return {
        "user": settings.nats_user or None,
        "password": settings.nats_password.get_secret_value() or None,
        "inbox_prefix": f"_INBOX_{service}",
    }


class Bus:
    """The consumers of one service. Say `consume` while wiring; then `start`."""

    def __init__(self, settings: ServiceSettings, service: str, client: Client) -> None:
        if settings.nats_url is None:
            raise ValueError("nats_url is not set")
        self._settings = settings
        self._service = service
        self._client = client
        self._jetstream = client.jetstream()
        security = None
        if settings.nats_user:
            security = SASLPlaintext(settings.nats_user, settings.nats_password.get_secret_value())
        self._broker = NatsBroker(
            settings.nats_url,
            security=security,
            name=f"{service}-consumers",
            inbox_prefix=f"_INBOX_{service}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            ping_interval=10,
            graceful_timeout=GRACE_SECONDS,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            logger=None,
            middlewares=(NatsTelemetryMiddleware(),),
        )

    @property
    def jetstream(self) -> JetStreamContext:
        return self._jetstream

    @property
    def connected(self) -> bool:
        return bool(self._client.is_connected)

    def consume(self, durable: str, handler: Handler, lanes: int = 1) -> None:
        """Handle the events of a durable consumer, `lanes` at a time."""

        async def decode(raw: Raw) -> None:
            try:
                attributes = from_headers(raw.headers)
                event = parse(attributes, raw.body)
            except MalformedEvent as error:
                raise Poison(str(error)) from error
            await handler(event, Delivery(durable, attributes, raw.attempt))

        self.consume_raw(durable, decode, lanes)

    def consume_raw(self, durable: str, handler: RawHandler, lanes: int = 1) -> None:
        """The same without decoding: for whoever must see malformed messages too."""
        declared = consumer(durable)
        self._subscribe(declared, handler, lanes, self._as_it_came)
        if declared.stream == EVENT_STREAM:
            self._subscribe(consumer(f"{durable}-again"), handler, 1, self._said_again)

    async def _as_it_came(self, raw: Raw) -> Raw:
        return raw

    async def _said_again(self, raw: Raw) -> Raw:
        """The event that an operator wants handled once more, from the log: whoever asks cannot change it."""
        try:
            found = await self._jetstream.get_msg(EVENT_STREAM, seq=int(raw.body))
        except (ValueError, NotFoundError) as error:
            raise Poison(f"there is no event {raw.body[:20]!r} to handle again") from error
        return Raw(
            durable=raw.durable.removesuffix("-again"),
            subject=found.subject or "",
            headers=found.headers or {},
            body=found.data or b"",
            attempt=raw.attempt,
            sequence=found.seq or 0,
        )

    def _subscribe(
        self, declared: Consumer, handler: RawHandler, lanes: int, resolve: Callable[[Raw], Awaitable[Raw]]
    ) -> None:
        async def receive(message: NatsMessage) -> None:
            await self._handle(message, declared, handler, resolve)

        # A lane is a subscriber of its own that fetches one message at a time: with max_workers on a single
        # pull subscriber messages would be prefetched, and redelivered while they wait behind a long one.
        for lane in range(lanes):
            self._broker.subscriber(
                declared.filter_subject,
                durable=declared.durable,
                stream=JStream(declared.stream, declare=False),
                pull_sub=PullSub(batch_size=1, timeout=5),
                inbox_prefix=f"_INBOX_{self._service}.".encode(),
                include_in_schema=lane == 0,
            )(receive)

    async def start(self) -> None:
        await self._broker.start()

    async def stop(self) -> None:
        """Fetch no more, wait for the handlers in flight (bounded), close."""
        # Without a connection nothing can be acknowledged, and a drain would wait for it: leave at once.
        bound = GRACE_SECONDS + 5 if self.connected else 1
        try:
            async with asyncio.timeout(bound):
                await self._broker.stop()
        except (TimeoutError, NatsError) as error:
            log.warning("bus-not-drained", error=repr(error))

    async def _handle(
        self,
        message: NatsMessage,
        declared: Consumer,
        handler: RawHandler,
        resolve: Callable[[Raw], Awaitable[Raw]],
    ) -> None:
        received = message.raw_message
        if not isinstance(received, Msg):
            raise TypeError(f"expected one JetStream message, got {type(received).__name__}")
        raw = Raw(
            durable=declared.durable,
            subject=received.subject,
            headers=dict(received.headers or {}),
            body=received.data,
            attempt=received.metadata.num_delivered or 1,
            sequence=received.metadata.sequence.stream,
        )
        try:
            async with extending(received, declared.ack_wait_seconds / 3):
                raw = await resolve(raw)
                await handler(raw)
        except Exception as error:
            await self._failed(received, raw, error)

    async def _failed(self, received: Msg, raw: Raw, error: Exception) -> None:
        delays = self._settings.retry_delays_seconds
        delay = delays[min(raw.attempt, len(delays)) - 1]
        fields = {
            "durable": raw.durable,
            "subject": raw.subject,
            "attempt": raw.attempt,
            "error": repr(error),
        }
        if is_infrastructure(error):
            log.warning("message-waits-for-infrastructure", delay_seconds=delay, **fields)
            raise NackMessage(delay=delay) from error
        if not isinstance(error, Poison) and raw.attempt < self._settings.max_attempts:
            log.warning("message-retried", delay_seconds=delay, exc_info=error, **fields)
            raise NackMessage(delay=delay) from error
        reason = str(error) if isinstance(error, Poison) else repr(error)
        await self._set_aside(received, raw, reason)
        log.error("message-dead", exc_info=error, **fields)
        raise AckMessage from error

    async def _set_aside(self, received: Msg, raw: Raw, reason: str) -> None:
        """Copy the message to the dead-letter stream. Raises when that is not stored: then it is delivered again."""
        kept = {key: value for key, value in raw.headers.items() if not key.lower().startswith("nats-")}
        headers = {
            **kept,
            # An event that was handled again and failed again is another letter.
            "Nats-Msg-Id": f"dead:{raw.durable}:{received.metadata.stream}:{received.metadata.sequence.stream}",
            "dead-reason": " ".join(reason.split())[:REASON_LENGTH],
            "dead-consumer": raw.durable,
            "dead-subject": raw.subject,
            "dead-attempts": str(raw.attempt),
            "dead-time": datetime.now(UTC).isoformat(),
            "dead-stream-sequence": str(raw.sequence),
        }
        subject = raw.subject.removeprefix(DEAD_LETTER_PREFIX)
        try:
            await self._jetstream.publish(
                f"{DEAD_LETTER_PREFIX}{subject}",
                raw.body,
                stream=DEAD_LETTER_STREAM,
                headers=headers,
                timeout=5,
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise NackMessage(delay=5) from error


@asynccontextmanager
async def extending(message: Msg, every_seconds: float) -> AsyncIterator[None]:
    """Keep the ack deadline ahead while the work goes on."""

    async def extend() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await message.in_progress()
            except (NatsError, OSError) as error:
                log.warning("ack-deadline-not-extended", subject=message.subject, error=repr(error))

    task = asyncio.create_task(extend())
    try:
        yield
    finally:
        task.cancel()


async def connect(settings: ServiceSettings, service: str) -> Client:
    """A nats-py connection that never gives up reconnecting. Waits until the server is there."""
    if settings.nats_url is None:
        raise ValueError("nats_url is not set")
    return await nats.connect(
        settings.nats_url,
        name=service,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=10,
        **credentials(settings, service),
    )


async def disconnect(client: Client) -> None:
    """Close the connection; a server that is away is not waited for."""
    with suppress(TimeoutError, NatsError):
        async with asyncio.timeout(2):
            await client.close()
