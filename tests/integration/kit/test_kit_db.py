"""The pool of connections when PostgreSQL ended them."""

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from kit import db
from kit.db import Database
from kit.queries import Connection
from psycopg_pool import PoolTimeout

if TYPE_CHECKING:
    from tests.conftest import FreshDatabase

CONNECTIONS = 6


async def test_connections_that_were_all_ended_are_replaced_at_once(fresh_database: "FreshDatabase") -> None:
    async with Database.opened(fresh_database.dsn("registry"), "test", CONNECTIONS) as database:
        all_here = asyncio.Barrier(CONNECTIONS)

        async def together() -> int:
            async with database.transaction() as connection:
                await all_here.wait()
                return connection.info.backend_pid

        async def alone() -> int:
            async with database.transaction() as connection:
                return connection.info.backend_pid

        before = set(await asyncio.gather(*(together() for _ in range(CONNECTIONS))))
        assert len(before) == CONNECTIONS
        with psycopg.connect(fresh_database.server.dsn(), autocommit=True) as administrator:
            administrator.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as pid", (sorted(before),))
        assert await alone() not in before


async def test_a_statement_is_said_again_when_its_session_has_ended(fresh_database: "FreshDatabase") -> None:
    async with Database.opened(fresh_database.dsn("registry"), "test", 1) as database:
        asked: list[int] = []

        async def whose(connection: Connection) -> int:
            asked.append(connection.info.backend_pid)
            if len(asked) == 2:  # trusted, and ended only now
                await ended(asked[1])
            return int((await (await connection.execute("select pg_backend_pid() as pid")).fetchall())[0]["pid"])

        async def ended(pid: int) -> None:
            with psycopg.connect(fresh_database.server.dsn(), autocommit=True) as administrator:
                administrator.execute("select pg_terminate_backend(%s, 10000)", (pid,))

        first = await database.statement(whose)
        second = await database.statement(whose)
        assert asked == [first, first, second]
        assert second != first
        await ended(second)  # while it rests in the pool
        third = await database.statement(whose)
        assert third not in (first, second)
        assert asked[3:] == [third]  # what the socket says is seen before it is asked


async def test_a_statement_that_is_wrong_is_said_once(fresh_database: "FreshDatabase") -> None:
    async with Database.opened(fresh_database.dsn("registry"), "test", 1) as database:
        said = 0

        async def wrong(connection: Connection) -> None:
            nonlocal said
            said += 1
            await connection.execute("select nothing")

        with pytest.raises(psycopg.errors.UndefinedColumn):
            await database.statement(wrong)
        assert said == 1


async def test_after_one_has_waited_in_vain_the_others_are_told_at_once(
    fresh_database: "FreshDatabase", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "PATIENCE_SECONDS", 0.25)
    monkeypatch.setattr(db, "IMPATIENCE_SECONDS", 0.03)

    async def waited(database: Database) -> str:
        with pytest.raises(PoolTimeout) as refused:
            async with database.transaction():
                raise AssertionError
        return str(refused.value)

    async with Database.opened(fresh_database.dsn("registry"), "test", 1) as database:
        for _ in range(2):
            async with database.transaction():
                assert "0.25 sec" in await waited(database)
                assert "0.03 sec" in await waited(database)
            async with database.transaction():
                pass  # somebody got through: patience is back
