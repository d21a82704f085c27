"""SQL in files of its own: every query named and described."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from psycopg import AsyncConnection, AsyncCopy, AsyncCursor, sql

Row = dict[str, Any]
Connection = AsyncConnection[Row]

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The queries of one package: blocks that start with `-- name: <name>`.

    They lie in its `queries.sql`, or, where that would be long, in `queries/*.sql`.
    """

    def __init__(self, text: str, origin: str) -> None:
        parts = _NAME.split(text)
        self._queries = {name: sql.SQL(body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
        self._origin = origin
        if len(self._queries) != len(parts[1::2]):
            raise ValueError(f"{origin}: two queries share a name")

    @classmethod
    def load(cls, package: str) -> "Queries":
        one, several = files(package).joinpath("queries.sql"), files(package).joinpath("queries")
        if one.is_file():
            return cls(one.read_text(), f"{package}/queries.sql")
        texts = [file.read_text() for file in several.iterdir() if file.name.endswith(".sql")]
        return cls("\n".join(texts), f"{package}/queries")

    def _named(self, name: str) -> sql.SQL:
        try:
            return self._queries[name]
        except KeyError:
            raise LookupError(f"{self._origin} has no query named {name!r}") from None

    async def run(self, connection: Connection, name: str, **parameters: Any) -> AsyncCursor[Row]:
        return await connection.execute(self._named(name), parameters)

    @asynccontextmanager
    async def copy(self, connection: Connection, name: str) -> AsyncIterator[AsyncCopy]:
        """A `copy … from stdin`; whatever is raised in the block cancels it."""
        async with connection.cursor() as cursor, cursor.copy(self._named(name)) as copy:
            yield copy

    async def execute(self, connection: Connection, name: str, **parameters: Any) -> int:
        """Rows affected."""
        return (await self.run(connection, name, **parameters)).rowcount

    async def one(self, connection: Connection, name: str, **parameters: Any) -> Row | None:
        return await (await self.run(connection, name, **parameters)).fetchone()

    async def row(self, connection: Connection, name: str, **parameters: Any) -> Row:
        """The row of a statement that always has one."""
        found = await self.one(connection, name, **parameters)
        if found is None:
            raise LookupError(f"{self._origin}: {name} returned no row")
        return found

    async def shaped(
        self, connection: Connection, name: str, shape: Mapping[str, sql.Composable], **parameters: Any
    ) -> list[Row]:
        """As `all`, of a query with {places} for what no parameter can be: a column to sort by, a direction.

        Planned anew each time: it is for queries whose best plan depends on their parameters.
        """
        query = self._named(name).format(**shape)
        return await (await connection.execute(query, parameters, prepare=False)).fetchall()

    async def execute_shaped(
        self, connection: Connection, name: str, shape: Mapping[str, sql.Composable], **parameters: Any
    ) -> int:
        """As `execute`, of a query with {places}."""
        return (await connection.execute(self._named(name).format(**shape), parameters)).rowcount

    async def all(self, connection: Connection, name: str, **parameters: Any) -> list[Row]:
        return await (await self.run(connection, name, **parameters)).fetchall()
