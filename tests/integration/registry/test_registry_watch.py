"""Watching: every change once and in order, from any position; who reads slowly harms nobody."""

import asyncio
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import grpc
import pytest_asyncio
from contracts.registry.v1 import registry_pb2 as registry
from contracts.registry.v1.registry_pb2_grpc import RegistryServiceStub
from public_registry import PublicRegistry, details, error_of, public_registry, settings_of
from registry.domain.rounds import AliasMoveKind
from registry_bench import Bench

KIND = registry.ChangeKind.Name


@pytest_asyncio.fixture
async def public(bench: Bench) -> AsyncIterator[PublicRegistry]:
    async with public_registry(bench, settings_of(bench)) as one:
        yield one


async def told(call: Any, count: int) -> list[registry.WatchResponse]:
    async with asyncio.timeout(60):
        return [await call.read() for _ in range(count)]


def lines(answers: list[registry.WatchResponse]) -> list[tuple[str, str, str, str]]:
    return [
        (KIND(one.kind).removeprefix("CHANGE_KIND_").lower(), one.version, one.alias, one.previous_version)
        for one in answers
    ]


async def move(bench: Bench, alias: str, version: str) -> None:
    async with bench.database.transaction() as conn:
        await bench.store.move_alias(conn, alias, version, AliasMoveKind.MOVE, "tried")


async def test_what_happens_is_told_as_it_commits(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    call = public.stub.Watch(registry.WatchRequest())
    (now,) = await told(call, 1)
    assert lines([now]) == [("current", "", "", "")]
    await bench.publish("A")
    await move(bench, "stable", "1.1")
    await move(bench, "stable", "1.0")
    await bench.rows("update models set retired_at = now(), retired_reason = 'wrong' where version = '1.1'")
    news = await told(call, 5)
    assert lines(news) == [
        ("published", "1.1", "", ""),
        ("aliased", "1.1", "latest", "1.0"),
        ("aliased", "1.1", "stable", ""),
        ("aliased", "1.0", "stable", "1.1"),
        ("retired", "1.1", "", ""),
    ]
    assert [one.position for one in news] == sorted({one.position for one in news})
    assert news[-1].reason == "wrong"
    assert all(one.HasField("at") for one in news)
    call.cancel()
    # Whoever comes back goes on where it was; whoever is new hears everything.
    again = public.stub.Watch(registry.WatchRequest(after_position=news[1].position))
    assert lines(await told(again, 4)) == [*lines(news[2:]), ("current", "", "", "")]
    everything = public.stub.Watch(registry.WatchRequest(from_start=True))
    assert lines(await told(everything, 8)) == [
        ("published", "1.0", "", ""),
        ("aliased", "1.0", "latest", ""),
        *lines(news),
        ("current", "", "", ""),
    ]


async def test_a_position_of_another_registry_is_refused(public: PublicRegistry) -> None:
    call = public.stub.Watch(registry.WatchRequest(after_position=10**6))
    error = await error_of(call.read())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error)["BadRequest"].field_violations[0].field == "after_position"


async def test_commits_that_race_are_told_in_the_order_of_their_positions(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    call = public.stub.Watch(registry.WatchRequest())
    await told(call, 1)
    await asyncio.gather(*(move(bench, f"alias-{number}", "1.0") for number in range(40)))
    news = await told(call, 40)
    assert {one.alias for one in news} == {f"alias-{number}" for number in range(40)}
    assert [one.position for one in news] == list(range(news[0].position, news[0].position + 40))


async def test_a_reader_that_does_not_read_loses_its_stream_alone(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    # A window of 64 KiB is soon full of sentences that nobody reads.
    options = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(public.address, options=options) as channel:
        slow = RegistryServiceStub(channel).Watch(registry.WatchRequest())
        quick = public.stub.Watch(registry.WatchRequest())
        await asyncio.gather(told(slow, 1), told(quick, 1))
        reason = "a long reason " * 1000
        count = 0
        async with asyncio.timeout(60):
            while len(public.querying.watchers) > 1:
                async with bench.database.transaction() as conn:
                    for number in range(50):
                        await bench.store.move_alias(conn, f"a{number}", "1.0", AliasMoveKind.MOVE, reason)
                assert len(await told(quick, 50)) == 50
                count += 50
        read = 0

        async def all_of_it() -> None:
            nonlocal read
            while await slow.read() is not grpc.aio.EOF:
                read += 1

        error = await error_of(all_of_it())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "after_position=" in (error.details() or "")
        assert read < count
        assert details(error)["RetryInfo"].retry_delay.seconds == 1


async def test_streams_end_in_good_order_when_the_registry_stops(bench: Bench) -> None:
    async with (
        public_registry(bench, settings_of(bench)) as public,
        grpc.aio.insecure_channel(public.address) as channel,
    ):
        call = RegistryServiceStub(channel).Watch(registry.WatchRequest())
        await told(call, 1)
        public.querying.watchers.close()
        assert await asyncio.wait_for(call.read(), 60) is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_more_watchers_than_are_let_in(bench: Bench) -> None:
    async with public_registry(bench, settings_of(bench, max_watchers=1)) as public:
        first = public.stub.Watch(registry.WatchRequest())
        await told(first, 1)
        error = await error_of(public.stub.Watch(registry.WatchRequest()).read())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
        async with asyncio.timeout(60):
            while len(public.querying.watchers):
                await asyncio.sleep(0.02)
        await told(public.stub.Watch(registry.WatchRequest()), 1)


async def test_an_idle_database_connection_that_breaks_costs_no_change(bench: Bench, public: PublicRegistry) -> None:
    await bench.publish("Si", "Water")
    call = public.stub.Watch(registry.WatchRequest())
    await told(call, 1)
    await bench.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and query not like %s",
        "%pg_stat_activity%",
    )
    await move(bench, "stable", "1.0")
    assert lines(await told(call, 1)) == [("aliased", "1.0", "stable", "")]


async def test_what_happened_before_the_catalogue_was_there_is_told_too(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    await bench.publish("A")
    await move(bench, "stable", "1.1")
    await move(bench, "stable", "1.0")
    await bench.rows("update models set retired_at = now(), retired_reason = 'wrong' where version = '1.1'")
    columns = "kind, version, alias, previous_version, reason"
    told_then = await bench.rows(f"select {columns} from catalogue_changes order by position")
    await bench.rows("delete from catalogue_changes")
    script = (files("registry") / "migrations" / "0008_catalogue.sql").read_text()
    (past,) = re.findall(r"^insert into catalogue_changes.*?as before;", script, re.MULTILINE | re.DOTALL)
    await bench.rows(past)
    assert await bench.rows(f"select {columns} from catalogue_changes order by position") == told_then
    assert len(told_then) == 7
