"""Uploads on disk. The size of the file is the offset: SIGKILL at any byte loses nothing that was acknowledged."""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

from kit.blobs import file_sha256, sync_folder

from gateway.uploads.upload_file import Buffers, UploadFile

HASHES_KEPT = 1000
LOCK_POLL_SECONDS = 0.02
COPY = ".copy"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Busy(Exception):
    """Another process writes to this upload and did not stop in time."""


class Gone(LookupError):
    """The file is not here: the upload has been moved into storage or removed."""


class Spool:
    """The folder in which uploads grow. Several processes may share it: flock lets one write to each upload."""

    def __init__(self, folder: Path, takeover_seconds: float) -> None:
        self._folder = folder
        self._takeover_seconds = takeover_seconds
        self._writers: dict[UUID, asyncio.Task[None]] = {}
        self._hashes: OrderedDict[UUID, tuple[int, hashlib._Hash]] = OrderedDict()
        self._buffers = Buffers()
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
            file = UploadFile(descriptor, path, marker, known[1] if known[0] == size else None, self._buffers)
            try:
                yield file
            finally:
                await file.close()
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
        for suffix in ("", ".unverified"):
            path = self.path(upload_id).with_suffix(suffix)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def new_copy(self, upload_id: UUID) -> Path:
        """Where one request may put the bytes of an upload that lie elsewhere: it may be sent twice at once."""
        return self._folder / f"{upload_id.hex}-{uuid4().hex}{COPY}"

    def discard_copies(self, seconds: float) -> None:
        """Those of processes that died while they made one: nobody wrote to them for so long."""
        before = time.time() - seconds
        for path in self._folder.glob(f"*{COPY}"):
            with suppress(FileNotFoundError):  # its request has just ended
                if path.stat().st_mtime < before:
                    path.unlink()

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
