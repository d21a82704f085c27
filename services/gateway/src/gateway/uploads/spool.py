"""Uploads on disk. The size of the file is the offset: SIGKILL at any byte loses nothing that was acknowledged."""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

from kit.blobs import file_sha256, sync_folder

BUFFER = 1 << 20
HASHES_KEPT = 1000
LOCK_POLL_SECONDS = 0.02
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Busy(Exception):
    """Another process writes to this upload and did not stop in time."""


class Gone(LookupError):
    """The file is not here: the upload has been moved into storage or removed."""


class UploadFile:
    """One upload's file, held by one writer at a time. Bytes are written and hashed in a thread.

    At most two buffers are in memory: one being filled while the other is written.
    """

    def __init__(self, descriptor: int, marker: Path, hasher: "hashlib._Hash | None") -> None:
        self._descriptor = descriptor
        self._marker = marker
        self._hasher = hasher
        self._pending: list[bytes] = []
        self._held = 0
        self._flight: asyncio.Future[None] | None = None
        self._start: tuple[int, hashlib._Hash | None] | None = None

    @property
    def offset(self) -> int:
        """Bytes on disk."""
        return os.fstat(self._descriptor).st_size

    @property
    def hasher(self) -> "hashlib._Hash | None":
        """SHA-256 of the bytes on disk; none after a restart, until the file is read again."""
        return self._hasher

    async def begin(self, verified: bool) -> None:
        """Remember where this request starts, to roll back to. `verified`: also after SIGKILL."""
        self._start = (self.offset, self._hasher.copy() if self._hasher else None)
        if verified:
            await asyncio.to_thread(self._marker.write_text, str(self._start[0]))

    async def feed(self, chunk: bytes) -> None:
        """Raises OSError of an earlier write, e.g. a full disk; what was written before it stays."""
        self._pending.append(chunk)
        self._held += len(chunk)
        if self._held >= BUFFER:
            await self._landed()
            self._take_off()

    async def feed_file(self, path: Path, start: int) -> None:
        """All of another file from byte `start`, as `feed`; a cancelled one stops within a buffer. Raises OSError."""
        await self.settle()
        stop = threading.Event()
        self._flight = asyncio.get_running_loop().run_in_executor(None, self._copy, path, start, stop)
        try:
            await asyncio.shield(self._flight)
        finally:
            stop.set()
            await self._landed_for_sure()

    async def settle(self) -> None:
        """Everything that was fed is on disk; not interrupted by cancellation. Raises OSError."""
        await self._landed_for_sure()
        if self._pending:
            self._take_off()
            await self._landed_for_sure()

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

    def _take_off(self) -> None:
        batch, self._pending, self._held = self._pending, [], 0
        self._flight = asyncio.get_running_loop().run_in_executor(None, self._write, batch)

    async def _landed(self) -> None:
        if self._flight is not None:
            await asyncio.shield(self._flight)
            self._flight = None

    async def _landed_for_sure(self) -> None:
        flight, self._flight = self._flight, None
        if flight is None:
            return
        while not flight.done():
            # A newer request may cancel this one more than once: the thread still needs the descriptor.
            with suppress(asyncio.CancelledError):
                await asyncio.wait({flight})
        flight.result()

    def _copy(self, path: Path, start: int, stop: threading.Event) -> None:
        with path.open("rb", buffering=0) as source:
            source.seek(start)
            while not stop.is_set() and (chunk := source.read(BUFFER)):
                self._write([chunk])

    def _write(self, batch: list[bytes]) -> None:
        for chunk in batch:
            rest = memoryview(chunk)
            while rest:
                written = os.write(self._descriptor, rest)
                if self._hasher is not None:
                    self._hasher.update(rest[:written])
                rest = rest[written:]


class Spool:
    """The folder in which uploads grow. Several processes may share it: flock lets one write to each upload."""

    def __init__(self, folder: Path, takeover_seconds: float) -> None:
        self._folder = folder
        self._takeover_seconds = takeover_seconds
        self._writers: dict[UUID, asyncio.Task[None]] = {}
        self._hashes: OrderedDict[UUID, tuple[int, hashlib._Hash]] = OrderedDict()
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, upload_id: UUID) -> Path:
        return self._folder / upload_id.hex

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._folder).free

    def create(self, upload_id: UUID) -> None:
        """Raises OSError when the disk is full."""
        os.close(os.open(self.path(upload_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        sync_folder(self._folder)

    @asynccontextmanager
    async def held(self, upload_id: UUID) -> AsyncIterator[UploadFile]:
        """The upload's file for this request alone; an older writer is told to stop and waited for.

        Raises Gone, or Busy when a writer in another process does not stop.
        """
        path = self.path(upload_id)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError as error:
            raise Gone(str(upload_id)) from error
        try:
            await self._lock(descriptor, upload_id)
            if not path.exists():
                raise Gone(str(upload_id))
            marker = path.with_suffix(".unverified")
            _discard_unverified(descriptor, marker)
            size = os.fstat(descriptor).st_size
            known = self._hashes.pop(upload_id, (0, hashlib.sha256()))
            file = UploadFile(descriptor, marker, known[1] if known[0] == size else None)
            yield file
            if file.hasher is not None:
                self._hashes[upload_id] = (file.offset, file.hasher)
                while len(self._hashes) > HASHES_KEPT:
                    self._hashes.popitem(last=False)
        finally:
            os.close(descriptor)

    def pump(self, upload_id: UUID, task: asyncio.Task[None]) -> None:
        """`task` writes to this upload until it ends or a newer request comes."""
        self._writers[upload_id] = task
        task.add_done_callback(lambda ended: self._ended(upload_id, ended))

    async def sha256(self, upload_id: UUID, file: UploadFile) -> str:
        """Of everything on disk: as it streamed, or read again when a restart came between."""
        if file.hasher is not None:
            return file.hasher.hexdigest()
        return await asyncio.to_thread(file_sha256, self.path(upload_id))

    async def remove(self, upload_id: UUID) -> None:
        """Gone afterwards, also if it was not there."""
        self._hashes.pop(upload_id, None)
        for suffix in ("", ".unverified", ".copy"):
            path = self.path(upload_id).with_suffix(suffix)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def untouched(self, seconds: float) -> list[UUID]:
        """Uploads whose files nobody wrote to for so long."""
        before = time.time() - seconds
        return [
            UUID(path.name) for path in self._folder.iterdir() if len(path.name) == 32 and path.stat().st_mtime < before
        ]

    def _ended(self, upload_id: UUID, task: asyncio.Task[None]) -> None:
        if self._writers.get(upload_id) is task:
            del self._writers[upload_id]

    async def _lock(self, descriptor: int, upload_id: UUID) -> None:
        deadline = asyncio.get_running_loop().time() + self._takeover_seconds
        while True:
            if writer := self._writers.get(upload_id):
                # Its client paused and came back sooner than the old connection was seen to end.
                writer.cancel()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    raise Busy(str(upload_id)) from None
                await asyncio.sleep(LOCK_POLL_SECONDS)
            else:
                return


def _discard_unverified(descriptor: int, marker: Path) -> None:
    """A request with a checksum that never ended: its bytes were not verified and its client sends them again."""
    try:
        start = int(marker.read_text() or 0)
    except FileNotFoundError:
        return
    if start < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, start)
    marker.unlink(missing_ok=True)
