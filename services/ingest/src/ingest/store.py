"""The only SQL of ingest."""

from collections.abc import Iterator
from uuid import UUID

import numpy as np
from contracts.base import BlobRef, DatasetRef
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from frames.hashing import HashArray, ascending
from kit.queries import Connection, Queries, Row

from ingest.selecting import KEY_BYTES, Elsewhere, Hit, Selection, Source, elsewhere

_ASKED_AT_ONCE = 10_000
_KEPT_AT_ONCE = 100_000
# PostgreSQL's binary format of COPY: numbers in network order, each field after its length.
_COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_COPY_ROW = np.dtype(
    [
        ("fields", ">i2"), ("hash_length", ">i4"), ("hash", "u1", KEY_BYTES),
        ("source_length", ">i4"), ("source", ">i4"), ("held_out_length", ">i4"), ("held_out", "u1"),
    ]
)  # fmt: skip


class Store:
    """Dataset versions, what became of them, and their frames. Every method runs inside the caller's transaction."""

    def __init__(self) -> None:
        self._queries = Queries.load("ingest")

    async def begin(self, connection: Connection, dataset: DatasetRef) -> int | None:
        """Which attempt at reading this is (1, 2, …); None when the dataset has an outcome already."""
        row = await self._queries.one(connection, "begin_dataset", **dataset.model_dump())
        return None if row is None else int(row["attempts"])

    async def is_being_read(self, connection: Connection, dataset: DatasetRef) -> bool:
        """No outcome yet, and none before this transaction ends."""
        return await self._queries.one(connection, "is_being_read", **dataset.model_dump()) is not None

    async def settle(self, connection: Connection, outcome: DatasetValidated | DatasetRejected) -> bool:
        """Keep the outcome; False when there is one already."""
        key = outcome.dataset.model_dump()
        if isinstance(outcome, DatasetRejected):
            rows = await self._queries.execute(
                connection, "settle_rejected", **key, rule=outcome.rule, reason=outcome.reason
            )
        else:
            rows = await self._queries.execute(
                connection,
                "settle_validated",
                **key,
                format=outcome.format,
                content_sha256=outcome.content_sha256,
                frames=outcome.frames,
                manifest=_json(outcome.manifest),
            )
        return rows == 1

    async def dataset(self, connection: Connection, dataset: DatasetRef) -> Row | None:
        return await self._queries.one(connection, "dataset", **dataset.model_dump())

    async def elsewhere(self, connection: Connection, uploaded: DatasetUploaded, hashes: HashArray) -> Elsewhere:
        """What other datasets say about frames that are different from each other, [n, 32]."""
        # Before the frames: what joins in between is asked again when the dataset is settled.
        newest = await self._queries.one(connection, "newest_source")
        hits = await self._hits(connection, hashes, after=0)
        rows = await self._queries.all(connection, "sources", sources=sorted({hit.source for hit in hits}))
        sources = {row["source"]: _source(row) for row in rows}
        until = 0 if newest is None else int(newest["source"])
        return elsewhere(len(hashes), hits, sources, uploaded.dataset, uploaded.owner_id, until)

    async def joined_since(self, connection: Connection, selection: Selection) -> list[Hit]:
        """Frames of the selection that datasets hold which joined after it was made; none joins from here on."""
        await self._queries.run(connection, "lock_known_frames")
        newest = await self._queries.one(connection, "newest_source")
        if newest is None or newest["source"] <= selection.elsewhere.until:
            return []
        return await self._hits(connection, selection.hashes, after=selection.elsewhere.until)

    async def keep_frames(self, connection: Connection, uploaded: DatasetUploaded, selection: Selection) -> None:
        """From now on its frames are known. Once for a dataset version; after `joined_since`."""
        row = await self._queries.one(
            connection,
            "keep_source",
            **uploaded.dataset.model_dump(),
            owner_id=uploaded.owner_id,
            private=uploaded.credit.private,
            title=uploaded.credit.title,
        )
        if row is None:
            raise RuntimeError("insert … returning gave no row")
        async with self._queries.copy(connection, "keep_frames") as copy:
            await copy.write(_COPY_BEGIN)
            for piece in _rows(selection, int(row["source"])):
                await copy.write(piece)
            await copy.write(_COPY_END)

    async def make_public(self, connection: Connection, dataset: DatasetRef, title: str) -> None:
        """It may be named to others, also when its frames become known later."""
        # A reading that is settled at the same moment either sees the note or is seen here.
        await self._queries.run(connection, "lock_known_frames")
        await self._queries.execute(connection, "note_public", **dataset.model_dump())
        await self._queries.execute(connection, "make_public", **dataset.model_dump(), title=title)

    async def _hits(self, connection: Connection, hashes: HashArray, after: int) -> list[Hit]:
        """In ascending order, some thousands at once: neighbours share pages, and memory stays small."""
        order = ascending(hashes[:, :KEY_BYTES])
        hits = []
        for start in range(0, len(order), _ASKED_AT_ONCE):
            piece = order[start : start + _ASKED_AT_ONCE]
            asked = [UUID(bytes=hashes[place, :KEY_BYTES].tobytes()) for place in piece]
            rows = await self._queries.all(connection, "frames_elsewhere", hashes=asked, after=after)
            hits += [Hit(row["source"], row["held_out"], piece[np.array(row["places"]) - 1]) for row in rows]
        return hits


def _rows(selection: Selection, source: int) -> Iterator[bytes]:
    """Rows of COPY in ascending order of the hash."""
    order = ascending(selection.hashes[:, :KEY_BYTES])
    for start in range(0, len(order), _KEPT_AT_ONCE):
        piece = order[start : start + _KEPT_AT_ONCE]
        rows = np.zeros(len(piece), dtype=_COPY_ROW)
        rows["fields"], rows["hash_length"], rows["source_length"], rows["held_out_length"] = 3, KEY_BYTES, 4, 1
        rows["hash"], rows["source"], rows["held_out"] = (
            selection.hashes[piece, :KEY_BYTES],
            source,
            selection.held_out[piece],
        )
        yield rows.tobytes()


def _source(row: Row) -> Source:
    dataset = DatasetRef(dataset_id=row["dataset_id"], version=row["version"])
    return Source(dataset, row["owner_id"], row["private"], row["title"])


def _json(ref: BlobRef) -> str:
    return ref.model_dump_json()
