"""The pool of connections when PostgreSQL ended them."""

import asyncio
from typing import TYPE_CHECKING

import psycopg
from kit.db import Database

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
