"""How much one account may have here: bytes of archives, and uploads that are not published."""

from math import ceil

from kit.db import Database
from kit.queries import Connection, Row

from gateway.domain import Person
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.uploads.parts import MOST_PARTS
from gateway.views.people import StorageView
from gateway.views.sizes import size_of


class Quotas:
    """An upload counts with all its bytes from its beginning; published, its archive does, in every version."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._store = store.uploads
        self._most_bytes = settings.max_account_bytes
        self._most_open = settings.max_open_uploads
        self._largest = settings.max_upload_bytes

    async def of(self, person: Person) -> StorageView:
        return self._view(await self._database.statement(lambda c: self._store.usage(c, person.id)))

    async def claim(self, connection: Connection, person: Person, size: int, *, part: bool = False) -> None:
        """Whoever begins uploads of this person waits until the transaction ends. Raises Problem: 413, 429."""
        await self._store.lock_owner(connection, person.id)
        row = await self._store.usage(connection, person.id)
        used = self._view(row)
        with_it = row | ({"parts": row["parts"] + 1, "part_bytes": row["part_bytes"] + size} if part else {})
        if self._open(with_it) + (not part) > self._most_open:
            raise too_many(used)
        if size > used.left_bytes:
            raise no_room(size, used)

    def _open(self, row: Row) -> int:
        """Parts count as the uploads that they can become: by their number and by their bytes, whichever is more."""
        of_parts: int = max(ceil(row["parts"] / MOST_PARTS), ceil(row["part_bytes"] / self._largest))
        whole: int = row["whole_uploads"]
        return whole + of_parts

    def _view(self, row: Row) -> StorageView:
        used = row["open_bytes"] + row["stored_bytes"]
        return StorageView(
            open_uploads=self._open(row),
            open_uploads_limit=self._most_open,
            open_bytes=row["open_bytes"],
            stored_bytes=row["stored_bytes"],
            used_bytes=used,
            limit_bytes=self._most_bytes,
            left_bytes=max(0, self._most_bytes - used),
        )


def too_many(used: StorageView) -> Problem:
    return Problem(
        429,
        "too-many-uploads",
        "Too many open uploads",
        f"You have {used.open_uploads} uploads that are not published; {used.open_uploads_limit} are allowed.",
        remedy="Publish or remove one of them first (My Uploads).",
        numbers=used.model_dump(),
    )


def no_room(size: int, used: StorageView) -> Problem:
    return Problem(
        413,
        "quota-exceeded",
        "No room in your account",
        f"The archive has {size_of(size)}, and {size_of(used.left_bytes)} of the {size_of(used.limit_bytes)} of your "
        f"account are left: datasets take {size_of(used.stored_bytes)}, uploads that are not published "
        f"{size_of(used.open_bytes)}.",
        field="Upload-Length",
        remedy="Discard uploads that you do not need (My Uploads), compress the archive, or ask whoever runs this site "
        "for more room.",
        numbers=used.model_dump(),
    )
