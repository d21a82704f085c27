"""Changes that outsiders watch for, told to any number of readers: one that is slow loses its own stream alone."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from registry.domain.changes import Change
from registry.domain.refusals import TooMuch

QUEUED = 256
"""Changes that wait for one reader."""


class Watcher:
    """One reader: what waits for it. `ended`: the registry stops. `overrun`: it read too slowly."""

    def __init__(self) -> None:
        self._waiting: deque[Change] = deque()
        self._something = asyncio.Event()
        self.fell_behind = asyncio.Event()
        self.ended = False

    def tell(self, changes: Sequence[Change]) -> None:
        if len(self._waiting) + len(changes) > QUEUED:
            self._waiting.clear()  # nobody keeps what will not be read
            self.fell_behind.set()
        elif not self.fell_behind.is_set():
            self._waiting.extend(changes)
        self._something.set()

    def end(self) -> None:
        self.ended = True
        self._something.set()

    async def next(self) -> Change | None:
        """None when the registry stops. Wakes without a change when the reader fell behind: look before and after."""
        while not self._waiting:
            if self.ended or self.fell_behind.is_set():
                return None
            self._something.clear()
            await self._something.wait()
        return self._waiting.popleft()


class Watchers:
    """All readers of this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[Watcher] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._all)

    @contextmanager
    def joined(self) -> Iterator[Watcher]:
        """A reader that hears of everything told from here on. Raises TooMuch."""
        if len(self._all) >= self._most:
            raise TooMuch(f"{self._most} watchers are connected, and no more are let in; try again later", 30.0)
        watcher = Watcher()
        if self._closed:
            watcher.end()
        self._all.add(watcher)
        try:
            yield watcher
        finally:
            self._all.discard(watcher)

    def tell(self, changes: Sequence[Change]) -> None:
        for watcher in self._all:
            watcher.tell(changes)

    def close(self) -> None:
        """Every stream ends in good order."""
        self._closed = True
        for watcher in self._all:
            watcher.end()
