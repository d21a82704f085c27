"""One upload's file while a request fills it: written and hashed side by side, in threads."""

import asyncio
import hashlib
import os
from contextlib import suppress
from io import FileIO
from mmap import mmap
from pathlib import Path
from typing import Any

from gateway.uploads.appending import BLOCK, Appender

LARGE, SMALL = 2 << 20, 256 << 10
LARGE_PAIRS = 8
Pair = tuple[mmap, mmap]


class Buffers:
    """Memory for uploads that are being received, a pair each, aligned to pages.

    However many there are at a time, 32 MiB are in large pairs: who finds none left gets a small one.
    """

    def __init__(self) -> None:
        self._to_make = LARGE_PAIRS
        self._free: list[Pair] = []

    def take(self) -> Pair:
        if self._free:
            return self._free.pop()
        size = LARGE if self._to_make else SMALL
        self._to_make = max(0, self._to_make - 1)
        return mmap(-1, size), mmap(-1, size)

    def give(self, pair: Pair) -> None:
        if len(pair[0]) == LARGE:
            self._free.append(pair)


class UploadFile:
    """One upload's file, held by one writer at a time.

    Two buffers are in memory: one being filled while the other is written and hashed.
    """

    def __init__(self, descriptor: int, path: Path, marker: Path, hasher: "hashlib._Hash | None", buffers: Buffers):
        self._descriptor = descriptor
        self._appender = Appender(descriptor, path)
        self._marker = marker
        self._hasher = hasher
        self._piece: hashlib._Hash | None = None
        self._buffers = buffers
        self._pair: Pair | None = None
        self._filled = self._room = 0
        self._flight: asyncio.Future[list[BaseException | None]] | None = None
        self._start: tuple[int, hashlib._Hash | None] | None = None

    @property
    def offset(self) -> int:
        """Bytes on disk."""
        return os.fstat(self._descriptor).st_size

    @property
    def hasher(self) -> "hashlib._Hash | None":
        """SHA-256 of the bytes on disk; none after a restart or a failed write, until the file is read again."""
        return self._hasher

    async def begin(self, piece: "hashlib._Hash | None" = None) -> None:
        """Remember where this request starts, to roll back to. `piece`: to hash what is fed, which is not to stay
        unless it turns out right; not after SIGKILL either."""
        self._start = (self.offset, self._hasher.copy() if self._hasher else None)
        self._piece = piece
        if piece is not None:
            await asyncio.to_thread(self._marker.write_text, str(self._start[0]))

    async def feed(self, chunk: bytes) -> None:
        """Raises OSError of an earlier write, e.g. a full disk; what was written before it stays."""
        rest = memoryview(chunk)
        while rest:
            space = self._space()
            taken = rest[: len(space)]
            space[: len(taken)] = taken
            rest = rest[len(taken) :]
            await self._fill(len(taken))

    async def feed_file(self, path: Path, start: int) -> None:
        """All of another file from byte `start` is on disk; a cancelled one stops within a buffer. Raises OSError."""
        with path.open("rb", buffering=0) as source:
            source.seek(start)
            while count := await self._read(source, self._space()):
                await self._fill(count)
        await self.settle()

    async def settle(self) -> None:
        """Everything that was fed is on disk; not interrupted by cancellation. Raises OSError: what is not, is lost."""
        try:
            await self._landed_for_sure()
            if self._pair and self._filled:
                self._take_off(self._pair)
                await self._landed_for_sure()
        finally:
            self._filled = self._room = 0

    async def keep(self) -> None:
        """What this request wrote is good."""
        self._start = None
        await asyncio.to_thread(self._marker.unlink, missing_ok=True)

    async def roll_back(self) -> None:
        """Discard what this request wrote."""
        if self._start is not None:
            size, self._hasher = self._start
            await asyncio.to_thread(os.ftruncate, self._descriptor, size)
        await self.keep()

    async def sync(self) -> None:
        await asyncio.to_thread(os.fsync, self._descriptor)

    async def close(self) -> None:
        with suppress(OSError):
            await self._landed_for_sure()
        self._appender.close()
        if self._pair is not None:
            self._buffers.give(self._pair)

    def _space(self) -> memoryview:
        """What is free of the buffer that is being filled: never nothing."""
        if self._pair is None:
            self._pair = self._buffers.take()
        if not self._room:
            # What follows the first buffer begins with a block of the file.
            self._room = len(self._pair[0]) - self.offset % BLOCK
        return memoryview(self._pair[0])[self._filled : self._room]

    async def _fill(self, count: int) -> None:
        self._filled += count
        if self._pair and self._filled == self._room:
            await self._landed()
            self._take_off(self._pair)

    async def _read(self, source: FileIO, space: memoryview) -> int:
        """Bytes that were read; when cancelled, it waits: the thread still needs the buffer."""
        reading = asyncio.get_running_loop().run_in_executor(None, source.readinto, space)
        try:
            return await asyncio.shield(reading) or 0
        except asyncio.CancelledError:
            await _done(reading)
            raise

    def _take_off(self, pair: Pair) -> None:
        data = memoryview(pair[0])[: self._filled]
        self._pair, self._filled, self._room = (pair[1], pair[0]), 0, len(pair[0])
        hashers = [one for one in (self._hasher, self._piece) if one is not None]
        run = asyncio.get_running_loop().run_in_executor
        jobs = [run(None, self._write, data), *(run(None, one.update, data) for one in hashers)]
        # All are waited for, whichever fails: each needs the buffer.
        self._flight = asyncio.gather(*jobs, return_exceptions=True)

    async def _landed(self) -> None:
        if self._flight is not None:
            _raised(await asyncio.shield(self._flight))
            self._flight = None

    async def _landed_for_sure(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            # A newer request may cancel this one: the threads still need descriptor and buffer.
            await _done(flight)
            _raised(flight.result())

    def _write(self, data: memoryview) -> None:
        try:
            self._appender.append(data)
        except OSError:
            # It is hashed at the same time, and some of it may be on disk.
            self._hasher = None
            raise


def _raised(outcomes: list[BaseException | None]) -> None:
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


async def _done(future: asyncio.Future[Any]) -> None:
    """Waits, however often it is cancelled."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({future})
