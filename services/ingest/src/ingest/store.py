"""The only SQL of ingest."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import numpy as np
from contracts.base import BlobRef, DatasetRef
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetRejected,
    DatasetUploaded,
    DatasetValidated,
)
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
        standard = await self._standard_number(connection)
        hits, sources = await self._hits(connection, hashes, after=0)
        until = 0 if newest is None else int(newest["source"])
        places = await self._standard_places(connection, hashes) if standard else []
        return elsewhere(len(hashes), hits, sources, uploaded.dataset, uploaded.owner_id, until, standard, places)

    async def joined_since(self, connection: Connection, selection: Selection) -> list[Hit]:
        """Frames of the selection that datasets hold which joined after it was made; none joins from here on."""
        await self._queries.run(connection, "lock_known_frames")
        newest = await self._queries.one(connection, "newest_source")
        if newest is None or newest["source"] <= selection.elsewhere.until:
            return []
        return (await self._hits(connection, selection.hashes, after=selection.elsewhere.until))[0]

    async def judged(
        self, connection: Connection, verdict: DatasetMetricPassed | DatasetMetricNotPassed, when: datetime
    ) -> None:
        """What the metric says of a dataset version, at that time."""
        key = verdict.dataset.model_dump()
        await self._queries.execute(connection, "keep_verdict", **key, sound=verdict.sound.passed, judged=when)

    async def unremembered(self, connection: Connection, dataset: DatasetRef) -> BlobRef | None:
        """The manifest of a validated dataset version whose frames are not known; None: they are, or it is none."""
        row = await self._queries.one(connection, "unremembered", **dataset.model_dump())
        return None if row is None else BlobRef.model_validate(row["manifest"])

    async def catch_up(self, connection: Connection, uploaded: DatasetUploaded, selection: Selection) -> bool:
        """Its frames join the known ones after all; False when they have joined meanwhile."""
        await self._queries.run(connection, "lock_known_frames")
        if await self.unremembered(connection, uploaded.dataset) is None:
            return False
        await self.keep_frames(connection, uploaded, selection)
        return True

    async def standard_since(self, connection: Connection, selection: Selection) -> list[int]:
        """Frames of the selection (indices) in a standard dataset that came after it was made.

        After `joined_since`, whose lock keeps the standard dataset as it is until the transaction ends.
        """
        if await self._standard_number(connection) <= selection.elsewhere.standard:
            return []
        return await self._standard_places(connection, selection.hashes)

    async def take_standard(self, connection: Connection, number: int, hashes: HashArray) -> bool:
        """From now on these frames are in no training split. False: it is not newer than the one that is known.

        Whoever settles a dataset at the same time sees the frames, or is waited for.
        """
        await self._queries.run(connection, "lock_known_frames")
        if await self._queries.execute(connection, "set_standard_number", number=number) == 0:
            return False
        await self._queries.run(connection, "clear_standard_frames")
        await self._queries.execute(connection, "add_standard_frames", hashes=_keys(hashes))
        return True

    async def _standard_number(self, connection: Connection) -> int:
        row = await self._queries.one(connection, "standard_number")
        return 0 if row is None else int(row["number"])

    async def _standard_places(self, connection: Connection, hashes: HashArray) -> list[int]:
        places: list[int] = []
        for start in range(0, len(hashes), _ASKED_AT_ONCE):
            asked = _keys(hashes[start : start + _ASKED_AT_ONCE])
            rows = await self._queries.all(connection, "frames_in_standard", hashes=asked)
            places += [start + int(row["place"]) - 1 for row in rows]
        return places

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

    async def withdraw(self, connection: Connection, dataset: DatasetRef) -> None:
        """Nothing counts as known because of it any more, also when its frames join the known ones later."""
        await self._queries.execute(connection, "note_withdrawn", **dataset.model_dump())

    async def _hits(self, connection: Connection, hashes: HashArray, after: int) -> tuple[list[Hit], dict[int, Source]]:
        """Of dataset versions that have a say, and which those are.

        In ascending order, some thousands at once: neighbours share pages, and memory stays small."""
        order = ascending(hashes[:, :KEY_BYTES])
        hits: list[Hit] = []
        for start in range(0, len(order), _ASKED_AT_ONCE):
            piece = order[start : start + _ASKED_AT_ONCE]
            asked = _keys(hashes[piece])
            rows = await self._queries.all(connection, "frames_elsewhere", hashes=asked, after=after)
            hits += [Hit(row["source"], row["held_out"], piece[np.array(row["places"]) - 1]) for row in rows]
        rows = await self._queries.all(connection, "sources", sources=sorted({hit.source for hit in hits}))
        sources = {row["source"]: _source(row) for row in rows}
        return [hit for hit in hits if hit.source in sources], sources


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


def _keys(hashes: HashArray) -> list[UUID]:
    return [UUID(bytes=one[:KEY_BYTES].tobytes()) for one in hashes]


def _source(row: Row) -> Source:
    dataset = DatasetRef(dataset_id=row["dataset_id"], version=row["version"])
    return Source(dataset, row["owner_id"], row["private"], row["title"], row["withdrawn"])


def _json(ref: BlobRef) -> str:
    return ref.model_dump_json()
