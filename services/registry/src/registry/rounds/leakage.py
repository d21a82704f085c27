"""Planning's own look at training frames: which of a dataset's are test frames, by the hashes that ingest stored."""

import asyncio
import hashlib

from contracts.artifacts import DatasetManifest
from contracts.standard import StandardDataset
from frames.hashing import HASH_BYTES
from kit.blobs import BlobMissing, Blobs
from kit.db import Database
from kit.logs import get_logger

from registry import ports
from registry.domain.rounds import Member
from registry.domain.standard import in_standard

log = get_logger(__name__)


class Leakage:
    """Compares every dataset once with every version of the standard dataset, outside of planning's transaction."""

    def __init__(self, database: Database, blobs: Blobs, store: ports.Overlaps) -> None:
        self._database = database
        self._blobs = blobs
        self._store = store

    async def look(self) -> None:
        """Datasets that were compared already cost nothing. A round is planned on compared ones alone."""
        async with self._database.transaction() as conn:
            number = await self._store.standard_number(conn)
            todo = await self._store.unchecked(conn, number) if number else []
            newest = await self._store.newest_standard(conn) if todo else None
        if newest is None:
            return
        for member in todo:
            found = await self._found(member, newest.standard)
            async with self._database.transaction() as conn:
                await self._store.add_overlap(conn, member.ref, newest.standard.number, found)
            if found:
                log.warning("test-frames-among-training-frames", dataset=str(member.ref), frames=len(found))

    async def _found(self, member: Member, standard: StandardDataset) -> tuple[int, ...] | None:
        """None: nobody stored hashes of its frames; the trainer sees them when it renders them."""
        try:
            manifest = await self._blobs.get_model(member.manifest.key, DatasetManifest)
            if manifest.frame_hashes is None:
                return None
            data = await self._blobs.get_bytes(manifest.frame_hashes.key)
        except BlobMissing as error:
            log.error("hashes-missing", dataset=str(member.ref), error=str(error))
            return None
        if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != manifest.frame_hashes.sha256:
            log.error("hashes-corrupt", dataset=str(member.ref), key=manifest.frame_hashes.key)
            return None
        frames = [bytes.fromhex(one) for branch in standard.branches for one in branch.frames]
        return await asyncio.to_thread(in_standard, data[: HASH_BYTES * manifest.train_frames], frames)
