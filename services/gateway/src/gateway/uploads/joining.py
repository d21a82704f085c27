"""Use cases of parts: they become one upload, that of the first, and their bytes follow its own on the disk.

The size of the file stays the offset: a process that dies leaves a prefix, and whoever asks next goes on from there.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from kit.db import Database
from kit.logs import get_logger

from gateway.domain import Person
from gateway.problems import not_found
from gateway.store import Store
from gateway.uploads import parts as rules
from gateway.uploads.parts import Address
from gateway.uploads.regions import Regions
from gateway.uploads.spool import Busy, Gone
from gateway.uploads.upload_file import UploadFile
from gateway.uploads.uploads import Upload, Uploads, clean_filename, disk_problem, fits, location, lost, too_large
from gateway.views.sizes import size_of

log = get_logger(__name__)

JOINS_AT_ONCE = 2


class Joining:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, uploads: Uploads, regions: Regions) -> None:
        self._database = database
        self._store = store.uploads
        self._uploads = uploads
        self._regions = regions
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(JOINS_AT_ONCE)

    async def begin(self, person: Person, found: Sequence[Address], filename: str | None) -> str:
        """Where the joined upload is: at its first part's address. Repeating it is harmless.

        Raises Problem: 404 for a part of somebody else, 413 too large altogether, 422 for parts that make no archive.
        """
        ids = [one.id for one in found]
        async with self._database.transaction() as connection:
            rows = await self._store.lock_parts(connection, person.id, ids)
            known = {row["upload_id"]: self._uploads.of(row) for row in rows}
            first = known.get(ids[0])
            if first is None or [one.id for one in first.parts] != ids[1:]:
                parts = _in_order([known.get(one) for one in ids], self._uploads.max_size)
                first = parts[0]
                await self._store.join_parts(
                    connection,
                    first.id,
                    parts=ids[1:],
                    part_sizes=[one.size for one in parts[1:]],
                    size=sum(one.size for one in parts),
                    filename=clean_filename(filename) if filename else None,
                )
            row = await self._store.find(connection, first.id)
        if row is None:
            raise not_found("upload", "It may have expired: start it again.")
        joined = self._uploads.of(row)
        region = self._regions.of(joined.region)
        if region.here:
            self._started(joined)
            return location(joined.id, region, None)
        claimed = found[0].ticket or ""
        return location(joined.id, region, claimed if fits(claimed, row) else None)

    async def joined(self, upload: Upload, seconds: float) -> bool:
        """Whether it is one file by now; false when that takes longer than `seconds`, here or in another process."""
        if not upload.parts or upload.sha256 is not None:
            return True
        if not self._regions.of(upload.region).here:
            return False
        task = self._started(upload)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done() or task.cancelled():
            return False
        try:
            task.result()
        except Busy:
            return False
        except Gone as error:
            raise lost(upload) from error
        except OSError as error:
            raise disk_problem(error) or error from error
        return True

    async def close(self) -> None:
        """Those under way stop; the next who asks goes on."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    def _started(self, upload: Upload) -> asyncio.Task[None]:
        task = self._tasks.get(upload.id)
        if task is None:
            task = self._tasks[upload.id] = asyncio.create_task(self._join(upload))
            task.add_done_callback(lambda ended: self._ended(upload, ended))
        return task

    def _ended(self, upload: Upload, task: asyncio.Task[None]) -> None:
        del self._tasks[upload.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("upload-not-joined", upload=str(upload.id), error=repr(error))

    async def _join(self, upload: Upload) -> None:
        """Raises Busy when another process is at it, or a newer request takes the file; Gone; OSError."""
        spool = self._uploads.spool
        async with self._room, spool.held(upload.id) as file:
            work = asyncio.create_task(self._append(upload, file))
            spool.pump(upload.id, work)
            try:
                await asyncio.wait({work})
            finally:
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({work})
            if work.cancelled():
                raise Busy(str(upload.id))
            work.result()
            await self._uploads.finish(upload, file)
        log.info("upload-joined", upload=str(upload.id), parts=1 + len(upload.parts), size=upload.size)

    async def _append(self, upload: Upload, file: UploadFile) -> None:
        """What is missing of each part; its file goes when all of it lies safe in ours."""
        spool, end = self._uploads.spool, upload.size - sum(one.size for one in upload.parts)
        for part in upload.parts:
            begin, end = end, end + part.size
            path = spool.path(part.id)
            if file.offset < end:
                if not path.exists() or path.stat().st_size != part.size:
                    raise Gone(str(part.id))
                await file.feed_file(path, file.offset - begin)
                await file.sync()
            await spool.remove(part.id)


def _in_order(found: Sequence[Upload | None], most: int) -> list[Upload]:
    parts = []
    for position, one in enumerate(found, 1):
        if one is None:
            problem = not_found("upload", "It may have expired: start it again.")
            problem.detail = f"There is no upload of yours at address {position} of {len(found)}."
            raise problem
        if not one.partial:
            raise rules.not_a_part(position)
        parts.append(one)
    if len({one.region for one in parts}) > 1:
        raise rules.regions_apart()
    rules.in_order([one.place for one in parts])
    for position, one in enumerate(parts, 1):
        if one.sha256 is None:
            raise rules.part_missing_bytes(position, f"{size_of(one.received)} of {size_of(one.size)}")
    if (size := sum(one.size for one in parts)) > most:
        raise too_large(size, most)
    return parts
