"""PostgreSQL: a pool of checked connections with dict rows."""

import select
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from kit.queries import Connection, Row

T = TypeVar("T")
PATIENCE_SECONDS = 15.0
"""A restart of the database is waited out."""
IMPATIENCE_SECONDS = 2.0
"""After one has waited in vain nobody else does, until somebody gets through: they are told at once."""
_trusting: ContextVar[bool] = ContextVar("trusting", default=False)


class Database:
    """The service's own schema (its role's search_path). Open with `opened`."""

    def __init__(self, pool: AsyncConnectionPool[Connection], dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn
        self._away = False

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str, name: str, max_size: int) -> AsyncIterator["Database"]:
        async def checked(connection: Connection) -> None:
            if _trusting.get() and _quiet(connection):
                return
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
            timeout=PATIENCE_SECONDS,
            check=checked,
            connection_class=AsyncConnection[Row],
            kwargs={"row_factory": dict_row, "application_name": name, "autocommit": True},
        )
        async with pool:
            yield cls(pool, dsn)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits when the block ends well and rolls back otherwise."""
        async with self._connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Raises PoolTimeout when the database does not answer, or nobody gives a connection back."""
        patience = IMPATIENCE_SECONDS if self._away else PATIENCE_SECONDS
        try:
            async with self._pool.connection(patience) as connection:
                self._away = False
                yield connection
        except PoolTimeout:
            self._away = True
            raise

    async def statement(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """What one statement says that only reads, as a transaction by itself: a quarter of the way of `transaction`.

        The session is not asked first whether it lives. Where it turns out that it does not, another one is asked.
        """
        trusting = _trusting.set(True)
        try:
            async with self._connection() as connection:
                return await ask(connection)
        except PoolTimeout:
            raise
        except OperationalError:
            pass
        finally:
            _trusting.reset(trusting)
        async with self._connection() as connection:
            return await ask(connection)

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


def _quiet(connection: Connection) -> bool:
    """Nothing has come over it: neither its end nor a word of the server."""
    if connection.closed:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return not waiting.poll(0)
