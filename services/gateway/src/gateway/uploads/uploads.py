"""Use cases of uploads: begin, find, finish, remove, expire. How bytes arrive is in `tus`."""

import asyncio
import errno
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from uuid import UUID, uuid4

from contracts import keys
from kit.blobs import BlobMissing, Blobs
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Row

from gateway.domain import Person
from gateway.problems import Problem, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.uploads.parts import Part, Place
from gateway.uploads.quotas import Quotas
from gateway.uploads.regions import UPLOADS_PATH, Region, Regions
from gateway.uploads.spool import FULL, Busy, Gone, Spool
from gateway.uploads.upload_file import UploadFile
from gateway.views.sizes import size_of

log = get_logger(__name__)

FILENAME_LENGTH = 255
# Ingest opens neither: whoever sends gigabytes of one should hear so before.
UNREAD = (".7z", ".rar")


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that its owner may resume or publish. `sha256` is known once the last byte is stored."""

    id: UUID
    owner_id: UUID
    filename: str
    size: int
    sha256: str | None
    created: datetime
    expires: datetime
    dataset_id: UUID | None
    region: str | None = None
    placed: bool = True
    """Its file has been made where its region is."""
    received: int = 0
    """Bytes that had arrived when a request ended."""
    partial: bool = False
    """To be joined with others: nothing is published from it alone."""
    place: Place | None = None
    parts: tuple[Part, ...] = ()
    """What is to follow its own bytes, of uploads that it took in."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A new upload, and where its bytes go: an address of this site, or of its region with a ticket in it."""

    id: UUID
    location: str


def storage_full() -> Problem:
    return Problem(
        507,
        "storage-full",
        "No room just now",
        "Our disk is full. What arrived so far is kept.",
        remedy="Resume later from where you are; we have been told.",
    )


def clean_filename(name: str) -> str:
    """The last part of a path from any system, printable, not empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(character for character in last if character.isprintable()).strip()
    return kept[-FILENAME_LENGTH:] or "archive"


class Uploads:
    """Raises Problem for everything that a person can put right."""

    def __init__(
        self,
        database: Database,
        store: Store,
        blobs: Blobs,
        spool: Spool,
        regions: Regions,
        settings: GatewaySettings,
    ) -> None:
        self._database = database
        self._store = store.uploads
        self.quotas = Quotas(database, store, settings)
        self._blobs = blobs
        self.spool = spool
        self._regions = regions
        self._settings = settings

    @property
    def max_size(self) -> int:
        return self._settings.max_upload_bytes

    async def begin(
        self,
        person: Person,
        size: int,
        filename: str,
        region_id: str | None = None,
        *,
        partial: bool = False,
        place: Place | None = None,
    ) -> Begun:
        """`region_id`: where the archive will lie; none: the default. `partial`: of an archive; `place`: which one.

        Raises Problem: 422 empty, a kind of archive that is not read or no such region, 413 too large or more than the
        account may have, 429 too many open, 507 no room.
        """
        region = self._regions.chosen(region_id)
        if size < 1:
            raise Problem(
                422,
                "empty-upload",
                "An empty file",
                "The archive has no bytes.",
                field="Upload-Length",
                remedy="Check that the archive was written, and choose it again.",
            )
        if size > self._settings.max_upload_bytes:
            raise too_large(size, self._settings.max_upload_bytes)
        name = clean_filename(filename)
        if name.lower().endswith(UNREAD):
            raise _unread(name)
        upload_id, ticket = uuid4(), None if region.here else secrets.token_urlsafe(32)
        async with self._database.transaction() as connection:
            await self.quotas.claim(connection, person, size, part=partial)
            if region.here:
                self._make_file(upload_id, size)
            await self._store.add(
                connection,
                upload_id=upload_id,
                owner_id=person.id,
                filename=name,
                size=size,
                region=region.id if self._settings.regions else None,
                placed=region.here,
                ticket_sha256=hashlib.sha256(ticket.encode()).digest() if ticket else None,
                partial=partial,
                part_number=place.number if place else None,
                part_count=place.count if place else None,
            )
        log.info("upload-started", upload=str(upload_id), size=size, region=region.id)
        return Begun(upload_id, location(upload_id, region, ticket))

    async def receive(self, person: Person, size: int, filename: str, chunks: AsyncIterator[bytes]) -> UUID:
        """A whole archive at once, as a form without script sends it, into this process's region. As `begin`."""
        begun = await self.begin(person, size, filename, self._regions.own.id)
        upload = await self.find(person, begun.id)
        try:
            async with self.spool.held(begun.id) as file:
                await file.begin()
                async for chunk in chunks:
                    await file.feed(chunk)
                await file.settle()
                await file.keep()
                if file.offset != size:
                    raise too_short(size, file.offset)
                await self.finish(upload, file)
        except Problem:
            await self.remove(upload)
            raise
        except OSError as error:
            await self.remove(upload)
            raise disk_problem(error) or error from error
        return begun.id

    def _make_file(self, upload_id: UUID, size: int) -> None:
        if size > self.spool.free_bytes():
            log.error("upload-storage-full", size=size)
            raise storage_full()
        try:
            self.spool.create(upload_id)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise storage_full() from error

    async def with_ticket(self, upload_id: UUID, ticket: str) -> Upload:
        """For whoever has the ticket of an upload to this region. 404 for others."""
        async with self._database.transaction() as connection:
            row = await self._store.find(connection, upload_id)
        if row is None or not fits(ticket, row):
            raise not_found("upload", "It may have expired: start it again.")
        return self.of(row)

    async def place(self, upload: Upload) -> None:
        """Make its file when this process takes it and none was made. 409 with its address when another one does."""
        region = self._regions.of(upload.region)
        if not region.here:
            raise Problem(
                409,
                "another-region",
                "Somewhere else",
                f"This upload goes to {region.title}.",
                remedy="Send it to the address that you got when it began, or begin anew.",
            )
        if upload.placed:
            return
        with suppress(FileExistsError):  # of a process that died before it could say so
            self._make_file(upload.id, upload.size)
        async with self._database.transaction() as connection:
            await self._store.place(connection, upload.id)

    async def find(self, person: Person, upload_id: UUID) -> Upload:
        """404 for what is not this person's."""
        async with self._database.transaction() as connection:
            row = await self._store.find(connection, upload_id)
        if row is None or row["owner_id"] != person.id:
            raise not_found("upload", "It may have expired: start it again.")
        return self.of(row)

    async def unpublished(self, person: Person) -> list[tuple[Upload, int]]:
        """What this person may resume or publish, newest first, with the bytes that are here."""
        async with self._database.transaction() as connection:
            rows = await self._store.unpublished(connection, person.id)
        return [(upload, self.stored(upload)) for upload in map(self.of, rows)]

    def stored(self, upload: Upload) -> int:
        """Bytes that are here, without disturbing whoever writes."""
        if upload.sha256 is not None or upload.parts:
            return upload.size
        if not self._regions.of(upload.region).here:
            return upload.received
        try:
            return self.spool.path(upload.id).stat().st_size
        except FileNotFoundError:
            return 0

    async def touched(self, upload: Upload, received: int) -> None:
        """Somebody wrote to it: it does not expire yet."""
        async with self._database.transaction() as connection:
            await self._store.touch(connection, upload.id, received)

    async def finish(self, upload: Upload, file: UploadFile) -> str:
        """All bytes are here: make them durable and note their SHA-256. Repeating it is harmless."""
        await file.sync()
        sha256 = await self.spool.sha256(upload.id, file)
        region = self._regions.of(upload.region)
        if region.apart and not upload.partial:
            # Whoever publishes it may be elsewhere and cannot reach this disk.
            await region.store.adopt_file(keys.upload_archive(upload.id), self.spool.path(upload.id), sha256)
        async with self._database.transaction() as connection:
            await self._store.finish(connection, upload.id, sha256)
        log.info("upload-finished", upload=str(upload.id), size=upload.size)
        return sha256

    async def finished(self, upload: Upload) -> str:
        """The SHA-256 of a complete upload; 422 when bytes are missing.

        A crash between the last byte and its note is repaired here.
        """
        if upload.sha256 is not None:
            return upload.sha256
        try:
            async with self.spool.held(upload.id) as file:
                if file.offset == upload.size:
                    return await self.finish(upload, file)
                here = file.offset
        except Gone:
            if (stored := await self._in_region(upload)) is not None:
                return stored
            here = 0 if self._regions.of(upload.region).here else upload.received
        except Busy as error:
            raise still_written() from error
        raise Problem(
            422,
            "upload-incomplete",
            "The upload is not complete",
            f"{size_of(here)} of {size_of(upload.size)} have arrived.",
            field="upload_id",
            remedy="Resume the upload; publish when it is complete.",
        )

    async def _in_region(self, upload: Upload) -> str | None:
        """The SHA-256 of what lies whole in its region's store, when the note of it was lost; else None."""
        region, key = self._regions.of(upload.region), keys.upload_archive(upload.id)
        try:
            if not region.apart or await region.store.size(key) != upload.size:
                return None
        except BlobMissing:
            return None
        sha256 = await region.store.sha256(key)
        async with self._database.transaction() as connection:
            await self._store.finish(connection, upload.id, sha256)
        return sha256

    async def remove(self, upload: Upload) -> None:
        """409 when an entry was published from it."""
        if upload.dataset_id is not None or not await self._removed(upload.id, upload.region):
            raise Problem(
                409,
                "upload-published",
                "Already published",
                "This upload belongs to a published dataset.",
                remedy="Withdraw the dataset instead.",
            )

    async def expire(self) -> int:
        """Remove what nobody wrote to or published for too long. Returns how many."""
        seconds = self._settings.upload_expiry_hours * 3600
        await asyncio.to_thread(self.spool.discard_copies, seconds)
        async with self._database.transaction() as connection:
            expired = await self._store.expired(connection, seconds)
            # A crash between file and row leaves a file that no row knows.
            for upload_id in await asyncio.to_thread(self.spool.untouched, seconds):
                if not await self._store.owns_file(connection, upload_id):
                    await self.spool.remove(upload_id)
        removed = 0
        for row in expired:
            upload_id = row["upload_id"]
            removed += await self._removed(upload_id, row["region"])
            log.info("upload-expired", upload=str(upload_id))
        return removed

    async def _removed(self, upload_id: UUID, region: str | None) -> bool:
        """The row goes first: a crash then leaves a file without owner, never an owner without file."""
        try:
            async with self.spool.held(upload_id):
                return await self._forget(upload_id, region)
        except Gone:
            return await self._forget(upload_id, region)
        except Busy as error:
            raise still_written() from error

    async def _forget(self, upload_id: UUID, region: str | None) -> bool:
        async with self._database.transaction() as connection:
            # First the lock, then the look: a publication that held the lock has committed by now.
            await self._store.lock(connection, upload_id)
            parts = await self._store.remove(connection, upload_id)
        if parts is None:
            return False
        for one in (upload_id, *parts):
            await self.spool.remove(one)
        for store in {id(one): one for one in (self._blobs, self._regions.of(region).store)}.values():
            await store.delete(keys.upload_archive(upload_id))
        return True

    def of(self, row: Row) -> Upload:
        """As the store tells it."""
        number, count = row["part_number"], row["part_count"]
        return Upload(
            id=row["upload_id"],
            owner_id=row["owner_id"],
            filename=row["filename"],
            size=row["size"],
            sha256=row["sha256"],
            created=row["created"],
            expires=row["touched"] + timedelta(hours=self._settings.upload_expiry_hours),
            dataset_id=row["dataset_id"],
            region=row["region"],
            placed=row["placed"],
            received=row["received"],
            partial=row["partial"],
            place=Place(number, count) if number else None,
            parts=tuple(Part(*one) for one in zip(row["parts"], row["part_sizes"], strict=True)),
        )


def location(upload_id: UUID, region: Region, ticket: str | None) -> str:
    path = f"{UPLOADS_PATH}/{upload_id}"
    return path if ticket is None else f"{region.address}{path}?ticket={ticket}"


def fits(ticket: str, row: Row) -> bool:
    """Whether it is that of the upload: of one to this region there is none."""
    known: bytes | None = row["ticket_sha256"]
    return known is not None and hmac.compare_digest(known, hashlib.sha256(ticket.encode()).digest())


def too_large(size: int, most: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "The archive is too large",
        f"It has {size_of(size)}; the largest we take is {size_of(most)}.",
        field="Upload-Length",
        remedy="Split it into several datasets, or compress it (tar.zst, tar.xz).",
    )


def _unread(name: str) -> Problem:
    return Problem(
        422,
        "unread-archive",
        "An archive that is not read",
        f"{name} is of a kind that we do not open.",
        field="Upload-Metadata",
        remedy="Pack the same folder as zip or tar.gz, and upload that.",
    )


def too_short(size: int, arrived: int) -> Problem:
    return Problem(
        422,
        "upload-incomplete",
        "The upload is not complete",
        f"{size_of(arrived)} of {size_of(size)} have arrived.",
        field="upload_id",
        remedy="Send it again.",
    )


def lost(upload: Upload) -> Problem:
    return Problem(
        410,
        "upload-gone",
        "The upload is gone",
        f"The bytes of {upload.filename} are not here any more.",
        remedy="Start the upload again.",
    )


def still_written() -> Problem:
    return Problem(
        423,
        "upload-busy",
        "The upload is being written",
        "Another request writes to this upload.",
        remedy="Wait a moment and try again.",
        headers={"retry-after": "2"},
    )


def disk_problem(error: OSError) -> Problem | None:
    """What a person is told of a failed write; none for what is our fault alone."""
    return storage_full() if error.errno in (*FULL, errno.EFBIG) else None
