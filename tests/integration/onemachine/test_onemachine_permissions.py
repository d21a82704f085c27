"""Each service reaches its own data and its own subjects, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import nats
import psycopg
import pytest
from contracts.topology import CONSUMERS, EMITS, EVENT_STREAM, consumer
from nats.aio.client import Client
from nats.js.errors import NoStreamResponseError
from onemachine.nats import ADMIN, NatsServer, services
from onemachine.provision import SCHEMAS, administration, provision_nats
from outsiders import so_many

Environment = Callable[[str], dict[str, str]]


def password(user: str) -> str:
    return f"nats-password-of-{user}"


@asynccontextmanager
async def connected(server: NatsServer, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A connection as `user`, and what the server complains of."""
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error).lower())

    client = await nats.connect(
        server.url, user=user, password=password(user), inbox_prefix=f"_INBOX_{user}", error_cb=complain
    )
    try:
        yield client, complaints
    finally:
        await client.close()


@pytest.mark.parametrize("service", services())
async def test_publishes_what_it_emits_and_nothing_else(fresh_streams: NatsServer, service: str) -> None:
    own = {event.nats_subject for event in EMITS[service]}
    others = {event.nats_subject for events in EMITS.values() for event in events} - own
    async with connected(fresh_streams, service) as (client, complaints):
        jetstream = client.jetstream()
        for subject in own:
            await jetstream.publish(subject, b"{}", stream=EVENT_STREAM, timeout=30)
        for subject in others:
            await client.publish(subject, b"{}")
        await so_many(complaints, len(others))
    assert all("permissions violation for publish" in complaint for complaint in complaints)
    async with administration(fresh_streams.url, ADMIN, password(ADMIN)) as admin:
        assert (await admin.stream_info(EVENT_STREAM)).state.messages == len(own)


@pytest.mark.parametrize("service", services())
async def test_fetches_from_its_own_consumers_alone(fresh_streams: NatsServer, service: str) -> None:
    async with connected(fresh_streams, service) as (client, complaints):
        information = {one: f"$JS.API.CONSUMER.INFO.{one.stream}.{one.durable}" for one in CONSUMERS}
        for one in (one for one in CONSUMERS if one.service == service):
            assert one.durable.encode() in (await client.request(information[one], b"", timeout=30)).data
        others = [subject for one, subject in information.items() if one.service != service]
        unanswered = await asyncio.gather(
            *(client.request(subject, b"", timeout=0.5) for subject in others), return_exceptions=True
        )
        assert {type(one) for one in unanswered} == {nats.errors.TimeoutError}
        await so_many(complaints, len(others))
        for subject in others:
            (refused,) = [one for one in complaints if f'"{subject.lower()}"' in one]
            assert "permissions violation for publish" in refused


async def test_a_consumer_hands_over_to_its_service(fresh_streams: NatsServer) -> None:
    declared = consumer("ingest-dataset-uploaded")
    async with connected(fresh_streams, "gateway") as (client, _):
        await client.jetstream().publish(declared.filter_subject, b"hello", stream=EVENT_STREAM)
    async with connected(fresh_streams, "ingest") as (client, complaints):
        subscription = await client.jetstream().pull_subscribe(
            declared.filter_subject, declared.durable, declared.stream, inbox_prefix=b"_INBOX_ingest."
        )
        (message,) = await subscription.fetch(1, timeout=30)
        await message.ack_sync()
        assert message.data == b"hello"
        assert complaints == []


async def test_a_wrong_password_is_refused(fresh_streams: NatsServer) -> None:
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await nats.connect(
            fresh_streams.url,
            user="ingest",
            password=password("metric"),
            allow_reconnect=False,
            connect_timeout=30,
            error_cb=_ignore,
        )


async def _ignore(_error: Exception) -> None:
    return None


async def test_consumers_get_todays_settings_and_keep_their_position(fresh_streams: NatsServer) -> None:
    declared = consumer("gateway-events")
    async with administration(fresh_streams.url, ADMIN, password(ADMIN)) as admin:
        await admin.publish("potluck.dataset.uploaded", b"1", stream=EVENT_STREAM)
        subscription = await admin.pull_subscribe("potluck.>", declared.durable, declared.stream)
        await (await subscription.fetch(1, timeout=30))[0].ack_sync()
        info = await admin.consumer_info(declared.stream, declared.durable)
        info.config.ack_wait = 7
        info.config.max_ack_pending = 3
        await admin.add_consumer(declared.stream, info.config)
        stream = (await admin.stream_info(EVENT_STREAM)).config
        await admin.update_stream(stream.evolve(duplicate_window=5))

        await provision_nats(admin)

        after = await admin.consumer_info(declared.stream, declared.durable)
        assert after.config.ack_wait == declared.ack_wait_seconds
        assert after.config.max_ack_pending == 1000
        assert after.ack_floor.stream_seq == 1
        assert (await admin.stream_info(EVENT_STREAM)).config.duplicate_window == 600
        assert (await admin.stream_info(EVENT_STREAM)).state.messages == 1


async def test_an_event_larger_than_the_limit_is_refused(fresh_streams: NatsServer) -> None:
    async with connected(fresh_streams, "gateway") as (client, _):
        with pytest.raises(nats.errors.MaxPayloadError):
            await client.jetstream().publish("potluck.dataset.uploaded", bytes((1 << 20) + 1))


async def test_a_subject_outside_the_log_has_no_stream(fresh_streams: NatsServer) -> None:
    async with administration(fresh_streams.url, ADMIN, password(ADMIN)) as admin:
        with pytest.raises(NoStreamResponseError):
            await admin.publish("elsewhere", b"")


@pytest.mark.parametrize("role", SCHEMAS)
def test_a_role_reads_and_writes_its_own_schema_alone(service_env: Environment, role: str) -> None:
    connections = {name: service_env(name)[f"POTLUCK_{name.upper()}_DATABASE_DSN"] for name in SCHEMAS}
    for name, dsn in connections.items():
        with psycopg.connect(dsn) as connection:
            connection.execute("create table kept as select 1 as value")
            assert connection.execute("select current_schema()").fetchall() == [(name,)]
    for other in set(SCHEMAS) - {role}:
        for statement in (
            f"select * from {other}.kept",
            f"create table {other}.mine ()",
            "create table public.mine ()",
        ):
            with psycopg.connect(connections[role]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_role_is_no_superuser_and_enters_no_other_database(service_env: Environment) -> None:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("create role friend superuser")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn, password="guessed")
