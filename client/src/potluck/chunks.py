"""Chunks of a file for sending: the next one is read and hashed while one is on its way."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of the file from `start`; none at its end."""

    start: int
    data: bytes
    sha256: bytes


class Chunks:
    """`taken(start, data)` is told of each chunk that is read, one after the other; again of one that is read again."""

    def __init__(self, path: Path, end: int, taken: Callable[[int, bytes], None]) -> None:
        self._path = path
        self._end = end
        self._taken = taken
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="potluck-chunk")
        self._ahead: Future[Chunk] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.shutdown()

    def at(self, start: int, size: int) -> Chunk:
        """At most `size` bytes; the same as were read ahead unless something went wrong meanwhile. Raises OSError."""
        ahead, self._ahead = self._ahead, None
        chunk = ahead.result() if ahead is not None else None
        if chunk is None or (chunk.start, len(chunk.data)) != (start, min(size, self._end - start)):
            chunk = self._read(start, size)
        following = start + len(chunk.data)
        if chunk.data and following < self._end:
            self._ahead = self._reader.submit(self._read, following, size)
        return chunk

    def _read(self, start: int, size: int) -> Chunk:
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read(min(size, self._end - start))
        self._taken(start, data)
        return Chunk(start, data, hashlib.sha256(data).digest())
