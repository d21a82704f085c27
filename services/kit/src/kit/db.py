"""PostgreSQL: a pool of checked connections with dict rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from kit.queries import Connection, Row


class Database:
    """The service's own schema (its role's search_path). Open with `opened`."""

    def __init__(self, pool: AsyncConnectionPool[Connection], dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str, name: str, max_size: int) -> AsyncIterator["Database"]:
        async def checked(connection: Connection) -> None:
            try:
                await AsyncConnectionPool.check_connection(connection)
            except OperationalError:
                # A restart, or the SIGKILL of one backend, ends every session: whoever meets the first broken one
                # throws all out. By itself the pool offers the next broken one after 1, 2, 4, 8 s.
                await pool.check()
                raise

        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=max_size,
            open=False,
            timeout=15,
            check=checked,
            connection_class=AsyncConnection[Row],
            kwargs={"row_factory": dict_row, "application_name": name, "autocommit": True},
        )
        async with pool:
            yield cls(pool, dsn)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits when the block ends well and rolls back otherwise."""
        async with self._pool.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """A connection for one statement, which is a transaction by itself: half the way of `transaction`."""
        async with self._pool.connection() as connection:
            yield connection

    @asynccontextmanager
    async def listening(self, *channels: str) -> AsyncIterator[Connection]:
        """A connection of its own, outside the pool, that LISTENs; read it with `connection.notifies()`."""
        connection = await AsyncConnection.connect(self.dsn, autocommit=True, row_factory=dict_row)
        async with connection:
            for channel in channels:
                await connection.execute(f'listen "{channel}"'.encode())
            yield connection

    async def ping(self) -> None:
        """Raises psycopg.Error or PoolTimeout when the database does not answer."""
        async with self._pool.connection(timeout=2) as connection:
            await connection.execute("select 1")
