"""Never lost, never twice: outbox, bus, inbox and dead letters on the real PostgreSQL and the real nats-server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.envelope import Event
from contracts.events import DatasetUploaded
from contracts.topology import EVENT_STREAM
from kit.bus import Bus, Delivery, Poison, Raw, connect
from kit.inbox import first_time
from kit.outbox import emit
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from onemachine.nats import ADMIN, NatsServer
from onemachine.process import running as process
from onemachine.provision import administration, provision_nats
from opentelemetry import trace
from ports import free_port
from pydantic import SecretStr

Environment = Callable[[str], dict[str, str]]
UPLOADED = "ingest-dataset-uploaded"


class IngestLike(ServiceSettings):
    model_config = service_config("ingest")


class GatewayLike(ServiceSettings):
    model_config = service_config("gateway")


def uploaded(version: int = 1, dataset: UUID | None = None) -> DatasetUploaded:
    return DatasetUploaded(
        dataset=DatasetRef(dataset_id=dataset or uuid4(), version=version),
        owner_id=uuid4(),
        credit=Credit(title="Silicon", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
        archive=BlobRef(key="uploads/x/archive", sha256="a" * 64, size=3),
        filename="si.tar.xz",
        format="detect",
    )


@pytest.fixture
def environment(service_env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("ingest", "gateway"):
        for key, value in service_env(name).items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv(f"POTLUCK_{name.upper()}_RETRY_DELAYS_SECONDS", "[0.05]")
        monkeypatch.setenv(f"POTLUCK_{name.upper()}_MAX_ATTEMPTS", "3")
    return tmp_path


@asynccontextmanager
async def nothing(_settings: ServiceSettings, _base: Foundation[ServiceSettings]) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def sender(traces: Path | None = None) -> AsyncIterator[Foundation[ServiceSettings]]:
    """A gateway-like service: emits what ingest consumes."""
    settings: ServiceSettings = GatewayLike().model_copy(update={"traces_file": traces})
    async with running("gateway", settings, nothing) as base:
        yield base


@asynccontextmanager
async def receiver(handler: Callable[[Event, Delivery], object]) -> AsyncIterator[Foundation[ServiceSettings]]:
    """An ingest-like service with `handler` on uploads."""

    @asynccontextmanager
    async def build(_settings: ServiceSettings, base: Foundation[ServiceSettings]) -> AsyncIterator[None]:
        base.bus.consume(UPLOADED, handler)  # type: ignore[arg-type]
        yield

    settings: ServiceSettings = IngestLike()
    async with running("ingest", settings, build) as base:
        yield base


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_what_commits_arrives_in_order_and_what_rolls_back_does_not(environment: Path) -> None:
    seen: list[int] = []

    async def handler(event: Event, _delivery: Delivery) -> None:
        assert isinstance(event, DatasetUploaded)
        seen.append(event.dataset.version)

    dataset = uuid4()
    async with sender() as gateway, receiver(handler):
        with pytest.raises(RuntimeError, match="changed my mind"):
            async with gateway.database.transaction() as connection:
                await emit(connection, uploaded(99, dataset))
                raise RuntimeError("changed my mind")
        for version in range(1, 21):
            async with gateway.database.transaction() as connection:
                await emit(connection, uploaded(version, dataset))
        await until(lambda: len(seen) == 20)
        await asyncio.sleep(0.2)
    assert seen == list(range(1, 21))


async def test_a_failed_message_is_tried_again_and_its_effect_happens_once(environment: Path) -> None:
    attempts: list[int] = []
    effects: list[UUID] = []

    async def handler(event: Event, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        async with ingest.database.transaction() as connection:
            if not await first_time(connection, delivery.durable, delivery.attributes.id):
                return
            effects.append(delivery.attributes.id)
        if delivery.attempt == 1:
            raise RuntimeError("died after the commit, before the ack")

    async with sender() as gateway, receiver(handler) as ingest:
        async with gateway.database.transaction() as connection:
            identifier = await emit(connection, uploaded())
        await until(lambda: len(attempts) == 2)
    assert attempts == [1, 2]
    assert effects == [identifier]


async def dead_letter(environment: Path) -> Raw:
    """The first dead letter, read as an operator would."""
    settings = GatewayLike()
    letters: list[Raw] = []

    async def keep(raw: Raw) -> None:
        letters.append(raw)

    client = await connect(settings, "gateway")
    try:
        bus = Bus(settings, "gateway", client)
        bus.consume_raw("gateway-dead-letters", keep)
        await bus.start()
        await until(lambda: bool(letters))
        await bus.stop()
    finally:
        await client.close()
    return letters[0]


async def test_a_message_that_keeps_failing_is_set_aside_with_its_reason(environment: Path) -> None:
    attempts: list[int] = []

    async def handler(_event: Event, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise ValueError("cannot read the archive")

    event = uploaded()
    async with sender() as gateway, receiver(handler):
        async with gateway.database.transaction() as connection:
            await emit(connection, event)
        letter = await dead_letter(environment)
    assert attempts == [1, 2, 3]
    assert letter.headers["dead-reason"] == "ValueError('cannot read the archive')"
    assert letter.headers["dead-consumer"] == UPLOADED
    assert letter.headers["dead-attempts"] == "3"
    assert letter.headers["ce-subject"] == f"dataset/{event.dataset}"
    assert DatasetUploaded.model_validate_json(letter.body) == event


async def test_poison_is_set_aside_at_once(environment: Path) -> None:
    attempts: list[int] = []

    async def handler(_event: Event, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        raise Poison("this archive can never be read")

    async with sender() as gateway, receiver(handler):
        async with gateway.database.transaction() as connection:
            await emit(connection, uploaded())
        letter = await dead_letter(environment)
    assert attempts == [1]
    assert letter.headers["dead-reason"] == "this archive can never be read"


async def test_a_malformed_event_is_set_aside_and_the_next_one_is_handled(environment: Path) -> None:
    seen: list[Event] = []

    async def handler(event: Event, _delivery: Delivery) -> None:
        seen.append(event)

    event = uploaded()
    async with sender() as gateway, receiver(handler):
        await gateway.bus.jetstream.publish(
            DatasetUploaded.nats_subject, b"{broken", stream=EVENT_STREAM, headers={"ce-specversion": "1.0"}
        )
        async with gateway.database.transaction() as connection:
            await emit(connection, event)
        letter = await dead_letter(environment)
        await until(lambda: seen == [event])
    assert letter.body == b"{broken"
    assert "CloudEvents attributes are incomplete" in letter.headers["dead-reason"]


async def test_infrastructure_that_is_away_never_makes_a_dead_letter(environment: Path) -> None:
    attempts: list[int] = []

    async def handler(_event: Event, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt < 6:  # beyond max_attempts
            raise ConnectionRefusedError("registry is away")

    async with sender() as gateway, receiver(handler):
        async with gateway.database.transaction() as connection:
            await emit(connection, uploaded())
        await until(lambda: len(attempts) == 6)
        await asyncio.sleep(0.2)
    assert attempts == [1, 2, 3, 4, 5, 6], "tried beyond max_attempts, and acknowledged at last"


async def test_the_trace_goes_on_in_the_handler(environment: Path) -> None:
    traces = environment / "traces.jsonl"
    inside: list[int] = []

    async def handler(_event: Event, _delivery: Delivery) -> None:
        inside.append(trace.get_current_span().get_span_context().trace_id)

    async with sender(traces) as gateway, receiver(handler):
        with trace.get_tracer("test").start_as_current_span("upload") as span:
            async with gateway.database.transaction() as connection:
                await emit(connection, uploaded())
        await until(lambda: bool(inside))
    assert inside == [span.get_span_context().trace_id]


async def test_health_says_what_is_wrong(environment: Path) -> None:
    async with sender() as gateway:
        assert await gateway.health.problems() == {}

        async def broken() -> None:
            raise RuntimeError("disk is full")

        gateway.health.add("disk", broken)
        assert await gateway.health.problems() == {"disk": "RuntimeError('disk is full')"}
    assert "service" in await gateway.health.problems()
    assert json.dumps(await gateway.health.problems())


async def test_a_service_stops_while_its_bus_is_away(service_env: Environment, tmp_path: Path) -> None:
    """A drain would wait half a minute for a server that does not come back."""
    server = NatsServer(
        tmp_path / "nats", lambda user: f"password-of-{user}", port=free_port(), monitor_port=free_port()
    )
    server.prepare()
    settings = IngestLike(
        blobs_url=(tmp_path / "blobs").as_uri(),
        nats_url=server.url,
        nats_user="ingest",
        nats_password=SecretStr("password-of-ingest"),
    )
    async with AsyncExitStack() as stack:
        with process(server.command(), server.answers, tmp_path / "nats.log"):
            async with administration(server.url, ADMIN, f"password-of-{ADMIN}") as jetstream:
                await provision_nats(jetstream)

            @asynccontextmanager
            async def build(_settings: IngestLike, base: Foundation[IngestLike]) -> AsyncIterator[None]:
                async def handler(_event: Event, _delivery: Delivery) -> None:
                    raise AssertionError("nothing was sent")

                base.bus.consume(UPLOADED, handler)
                yield

            await stack.enter_async_context(running("ingest", settings, build))
        async with asyncio.timeout(10):
            await stack.aclose()
