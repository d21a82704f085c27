"""Versions that several answers need at about the same time, read in one transaction, each of them once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Read = TypeVar("Read")

AT_ONCE = 16
"""Versions in one transaction: more would hold up what else the process answers for longer than a few milliseconds."""


class Together(Generic[Read]):
    """Of one revision. While a transaction reads, others queue; the next one reads what has come meanwhile.

    read  what is told of these versions, in their order
    """

    def __init__(self, read: Callable[[Sequence[str]], Awaitable[list[Read]]]) -> None:
        self._read = read
        self._asked: dict[str, asyncio.Future[Read]] = {}
        self._queue: list[str] = []
        self._reader: asyncio.Task[None] | None = None

    async def one(self, version: str) -> Read:
        """Raises whatever the transaction that read it raised. Who gives up waiting stops nobody else's reading."""
        asked = self._asked.get(version)
        if asked is None:
            asked = self._asked[version] = asyncio.get_running_loop().create_future()
            self._queue.append(version)
            if self._reader is None:
                self._reader = asyncio.create_task(self._serve())
        return await asyncio.shield(asked)

    async def _serve(self) -> None:
        try:
            while self._queue:
                versions, self._queue = self._queue[:AT_ONCE], self._queue[AT_ONCE:]
                await self._answer(versions)
        finally:
            self._reader = None

    async def _answer(self, versions: list[str]) -> None:
        try:
            models = await self._read(versions)
        except Exception as error:
            for version in versions:
                asked = self._asked.pop(version)
                asked.set_exception(error)
                asked.exception()  # where nobody waits any more, nobody complains
        else:
            for version, model in zip(versions, models, strict=True):
                self._asked.pop(version).set_result(model)
