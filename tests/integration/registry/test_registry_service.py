"""The whole service as `python -m registry` runs it: events from NATS in, gRPC, timer, events out."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.envelope import Attributes, to_headers
from contracts.events import DatasetMetricPassed, TrainingFailed, TrainingQueued
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1.fleet_pb2_grpc import FleetServiceStub
from contracts.operator.v1 import operator_pb2 as pb
from contracts.operator.v1.operator_pb2_grpc import OperatorServiceStub
from contracts.registry.v1 import registry_pb2 as registry
from contracts.registry.v1.registry_pb2_grpc import RegistryServiceStub
from contracts.topology import EVENT_STREAM
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kit.bus import connect
from kit.rpc import channel
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from nats.js import JetStreamContext
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from ports import free_port
from pydantic import SecretStr, ValidationError
from registry.app import build
from registry.settings import RegistrySettings
from registry_bench import SIGNING_KEY, TOKEN, refused
from registry_examples import dataset_manifest, metric_passed, policy

if TYPE_CHECKING:
    from contracts.operator.v1.operator_pb2_grpc import OperatorServiceAsyncStub

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUERY_TOKEN = SecretStr("query-token-of-the-tests")


class MetricLike(ServiceSettings):
    model_config = service_config("metric")


@pytest.fixture
def settings(
    service_env: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> RegistrySettings:
    for name in ("registry", "metric"):
        for key, value in service_env(name).items():
            monkeypatch.setenv(key, value)
    file = tmp_path / "growth.json"
    file.write_text(json.dumps(policy(gather_seconds=0).model_dump()))
    return RegistrySettings(
        address=f"127.0.0.1:{free_port()}",
        growth_policy=file,
        fleet_token=TOKEN,
        query_token=QUERY_TOKEN,
        signing_key=SIGNING_KEY,
        check_seconds=0.05,
    )


@pytest_asyncio.fixture
async def service(settings: RegistrySettings) -> AsyncIterator[Foundation[RegistrySettings]]:
    async with running("registry", settings, build) as base:
        yield base


@pytest_asyncio.fixture
async def log_of_events(settings: RegistrySettings, nats_server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """JetStream as the administrator sees it: no service may read another's streams."""
    async with administration(nats_server.url, ADMIN, f"nats-password-of-{ADMIN}") as jetstream:
        yield jetstream


@pytest_asyncio.fixture
async def metric(settings: RegistrySettings) -> AsyncIterator[JetStreamContext]:
    """JetStream as the metric service sees it."""
    client = await connect(MetricLike(), "metric")
    yield client.jetstream()
    await client.close()


async def tell(metric: JetStreamContext, event: DatasetMetricPassed, event_id: object = None) -> None:
    attributes = Attributes.model_validate(
        {
            "id": event_id or uuid4(),
            "type": event.ce_type(),
            "source": "potluck/metric",
            "subject": event.about(),
            "time": datetime.now(UTC),
        }
    )
    headers = to_headers(attributes) | {"traceparent": TRACE}
    # Another message id each time: the stream's own deduplication must not be what saves the consumer.
    headers["Nats-Msg-Id"] = str(uuid4())
    await metric.publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=headers, timeout=30)


async def passed(service: Foundation[RegistrySettings], title: str, train_frames: int = 80) -> DatasetMetricPassed:
    ref = DatasetRef(dataset_id=uuid4(), version=1)
    stored: BlobRef = await service.blobs.put_model(
        f"datasets/{ref.dataset_id}/manifest.json", dataset_manifest(ref, train_frames)
    )
    credit = Credit(title=title, authors=("demo contributor",), licence="CC-BY-4.0", private=False)
    return metric_passed(ref, stored, credit)


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait until `await check()` is true."""
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.05)


async def count(service: Foundation[RegistrySettings], table: str) -> int:
    async with service.database.transaction() as conn:
        cursor = await conn.execute(f"select count(*) as n from {table}".encode())
        row = await cursor.fetchone()
    assert row is not None
    return int(row["n"])


async def test_two_events_become_a_round_that_a_trainer_can_lease(
    service: Foundation[RegistrySettings],
    settings: RegistrySettings,
    metric: JetStreamContext,
    log_of_events: JetStreamContext,
) -> None:
    events = [await passed(service, "Si"), await passed(service, "Water")]
    for event in events:
        repeated = uuid4()
        await tell(metric, event, repeated)
        await tell(metric, event, repeated)  # redelivered
        await tell(metric, event)  # and once more under another id

    async def planned() -> bool:
        return await count(service, "rounds") == 1

    await eventually(planned)
    assert await count(service, "datasets") == 2

    async def told() -> bool:
        info = await log_of_events.stream_info(EVENT_STREAM, subjects_filter=TrainingQueued.nats_subject)
        return bool(info.state.subjects)

    await eventually(told)
    queued = await log_of_events.get_last_msg(EVENT_STREAM, TrainingQueued.nats_subject)
    assert queued.data is not None
    assert queued.headers is not None
    assert set(TrainingQueued.model_validate_json(queued.data).datasets) == {event.dataset for event in events}
    assert queued.headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
    assert queued.headers["ce-source"] == "potluck/registry"

    async with channel(settings.address, TOKEN) as trainer:
        answer = await FleetServiceStub(trainer).Lease(fleet.LeaseRequest(worker=fleet.Worker(worker_id="one")))
    assert answer.lease.traceparent.split("-")[1] == TRACE.split("-")[1]
    assert [branch.is_new for branch in answer.lease.spec.branches] == [True, True]


async def test_a_dataset_of_a_single_frame_is_set_aside_in_words_and_blocks_nobody(
    service: Foundation[RegistrySettings], metric: JetStreamContext, log_of_events: JetStreamContext
) -> None:
    await tell(metric, await passed(service, "Tiny", train_frames=0))
    for title in ("Si", "Water"):
        await tell(metric, await passed(service, title))

    async def decided() -> bool:
        async with service.database.transaction() as conn:
            rows = await (await conn.execute(b"select title, state from datasets")).fetchall()
        return {row["title"]: row["state"] for row in rows} == {"Tiny": "failed", "Si": "training", "Water": "training"}

    await eventually(decided)

    async def told() -> bool:
        info = await log_of_events.stream_info(EVENT_STREAM, subjects_filter=TrainingFailed.nats_subject)
        return bool(info.state.subjects)

    await eventually(told)
    message = await log_of_events.get_last_msg(EVENT_STREAM, TrainingFailed.nats_subject)
    assert message.data is not None
    failed = TrainingFailed.model_validate_json(message.data)
    assert failed.rule == "test-frames"
    assert "none is left to train on. Upload a version with more frames" in failed.reason
    assert not failed.will_retry


async def test_tokens_health_and_reflection(service: Foundation[RegistrySettings], settings: RegistrySettings) -> None:
    question = registry.GetModelRequest(version_or_alias="latest")
    expected = {QUERY_TOKEN: grpc.StatusCode.NOT_FOUND, TOKEN: grpc.StatusCode.UNAUTHENTICATED}
    for token, status in expected.items():
        async with channel(settings.address, token) as connection:
            assert (await refused(RegistryServiceStub(connection).GetModel(question)))[0] is status
    async with channel(settings.address) as stranger:
        assert (await refused(RegistryServiceStub(stranger).GetModel(question)))[0] is grpc.StatusCode.UNAUTHENTICATED
        for name in ("contracts.fleet.v1.FleetService", "contracts.registry.v1.RegistryService"):
            health = await health_pb2_grpc.HealthStub(stranger).Check(health_pb2.HealthCheckRequest(service=name))
            assert health.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(stranger)
        listing = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        names = [service.name async for answer in listing for service in answer.list_services_response.service]
    assert {"contracts.fleet.v1.FleetService", "contracts.registry.v1.RegistryService"} <= set(names)
    assert service.health.started


async def test_a_restarted_service_plans_what_waits(settings: RegistrySettings, metric: JetStreamContext) -> None:
    """The timer is no memory: what waits is in the database."""
    async with running("registry", settings, build) as first:
        await tell(metric, await passed(first, "Si"))

        async def one() -> bool:
            return await count(first, "datasets") == 1

        await eventually(one)
        second = await passed(first, "Water")
    await tell(metric, second)
    async with running("registry", settings, build) as again:

        async def planned() -> bool:
            return await count(again, "rounds") == 1

        await eventually(planned)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
def test_operators_need_a_token_or_are_on_this_machine(settings: RegistrySettings, address: str) -> None:
    values = settings.model_dump() | {"address": address, "operator_token": None}
    assert not RegistrySettings.model_validate(values).offers_operations
    assert RegistrySettings.model_validate(values | {"open_operator": True}).offers_operations
    guarded = values | {"operator_token": "secret"}
    assert RegistrySettings.model_validate(guarded | {"address": "0.0.0.0:7000"}).offers_operations
    with pytest.raises(ValidationError, match="set one of operator_token and open_operator"):
        RegistrySettings.model_validate(guarded | {"open_operator": True})


@pytest.mark.parametrize("address", ["0.0.0.0:7000", "[::]:7000", "registry.example:7000", "192.0.2.1:7000"])
def test_operators_are_never_anonymous_where_others_can_call(settings: RegistrySettings, address: str) -> None:
    values = settings.model_dump() | {"address": address, "operator_token": None, "open_operator": True}
    with pytest.raises(ValidationError, match="open_operator=true is for a loopback address"):
        RegistrySettings.model_validate(values)


async def test_operators_have_a_token_of_their_own(settings: RegistrySettings) -> None:
    operator_token = SecretStr("operator-token-of-the-tests")
    told = RegistrySettings.model_validate(settings.model_dump() | {"operator_token": operator_token})
    async with running("registry", told, build):
        for token, code in ((TOKEN, False), (QUERY_TOKEN, False), (None, False), (operator_token, True)):
            async with channel(told.address, token) as connection:
                stub: OperatorServiceAsyncStub = OperatorServiceStub(connection)
                if code:
                    assert not (await stub.GetLine(pb.GetLineRequest())).paused
                else:
                    assert (await refused(stub.GetLine(pb.GetLineRequest())))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_without_a_token_nobody_steers(service: Foundation[RegistrySettings], settings: RegistrySettings) -> None:
    async with channel(settings.address, TOKEN) as connection:
        stub: OperatorServiceAsyncStub = OperatorServiceStub(connection)
        assert (await refused(stub.Pause(pb.PauseRequest())))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_queries_are_guarded_or_open_by_choice(settings: RegistrySettings) -> None:
    values = settings.model_dump() | {"query_token": None, "open_queries": False}
    with pytest.raises(ValidationError, match="set exactly one of query_token and open_queries"):
        RegistrySettings.model_validate(values)
