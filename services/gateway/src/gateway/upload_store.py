"""SQL of uploads in progress."""

from typing import Any
from uuid import UUID

from kit.queries import Connection, Queries, Row


class Uploads:
    """Uploads in progress: rows beside the files."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock_owner(self, c: Connection, owner_id: UUID) -> None:
        """Until the transaction ends nobody else who asks so begins an upload of this person."""
        await self._q.execute(c, "lock_uploads_of", owner_id=owner_id)

    async def usage(self, c: Connection, owner_id: UUID) -> Row:
        """`open_uploads`, `open_bytes` and `stored_bytes` of a person."""
        return await self._q.row(c, "usage", owner_id=owner_id)

    async def add(self, c: Connection, **columns: Any) -> None:
        await self._q.execute(c, "insert_upload", **columns)

    async def place(self, c: Connection, upload_id: UUID) -> None:
        """Its file has been made where its region is."""
        await self._q.execute(c, "place_upload", upload_id=upload_id)

    async def find(self, c: Connection, upload_id: UUID) -> Row | None:
        return await self._q.one(c, "upload", upload_id=upload_id)

    async def lock(self, c: Connection, upload_id: UUID) -> bool:
        return await self._q.one(c, "lock_upload", upload_id=upload_id) is not None

    async def touch(self, c: Connection, upload_id: UUID, received: int) -> None:
        await self._q.execute(c, "touch_upload", upload_id=upload_id, received=received)

    async def finish(self, c: Connection, upload_id: UUID, sha256: str) -> None:
        await self._q.execute(c, "finish_upload", upload_id=upload_id, sha256=sha256)

    async def remove(self, c: Connection, upload_id: UUID) -> bool:
        """False when an entry was published from it, or it is gone."""
        return await self._q.execute(c, "delete_upload", upload_id=upload_id) == 1

    async def expired(self, c: Connection, seconds: float) -> list[Row]:
        """`upload_id` and `region` of each."""
        return await self._q.all(c, "expired_uploads", seconds=seconds)

    async def unpublished(self, c: Connection, owner_id: UUID) -> list[Row]:
        return await self._q.all(c, "unpublished_uploads", owner_id=owner_id)
