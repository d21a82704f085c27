"""SQL of uploads in progress."""

from collections.abc import Sequence
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
        """`whole_uploads`, `parts`, `part_bytes`, `open_bytes` and `stored_bytes` of a person."""
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

    async def remove(self, c: Connection, upload_id: UUID) -> list[UUID] | None:
        """The parts whose files went with it; None when an entry was published from it, or it is gone."""
        row = await self._q.one(c, "delete_upload", upload_id=upload_id)
        return None if row is None else list(row["parts"])

    async def owns_file(self, c: Connection, upload_id: UUID) -> bool:
        """Whether a file on the disk is an upload's, or a part's of one."""
        return await self._q.one(c, "upload_of_file", upload_id=upload_id) is not None

    async def lock_parts(self, c: Connection, owner_id: UUID, upload_ids: Sequence[UUID]) -> list[Row]:
        """Those of them that are this person's, as `find` tells them."""
        return await self._q.all(c, "lock_parts", owner_id=owner_id, upload_ids=list(upload_ids))

    async def join_parts(self, c: Connection, upload_id: UUID, **columns: Any) -> None:
        """`upload_id`, the first, becomes the upload of all of them."""
        await self._q.execute(c, "join_parts", upload_id=upload_id, **columns)

    async def expired(self, c: Connection, seconds: float) -> list[Row]:
        """`upload_id` and `region` of each."""
        return await self._q.all(c, "expired_uploads", seconds=seconds)

    async def unpublished(self, c: Connection, owner_id: UUID) -> list[Row]:
        return await self._q.all(c, "unpublished_uploads", owner_id=owner_id)
