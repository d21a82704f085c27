"""Datasets that were read before known frames were kept: their frames, from what is stored of them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contracts.artifacts import DatasetManifest
from contracts.base import BlobRef
from frames.hashing import HASH_BYTES, HashArray
from frames.store import DATA_FILE
from kit.blobs import Blobs

from ingest.confinement.children import Children, Job
from ingest.confinement.kernel import Limits
from ingest.domain import IngestBroken
from ingest.engine import LIGHT_IMPORTS
from ingest.selecting import Elsewhere, Selection
from ingest.settings import MEBIBYTE, IngestSettings


@dataclass(frozen=True, slots=True)
class Remembering:
    """Hashes the frames of a stored dataset in a confined child, as those of an upload are."""

    settings: IngestSettings
    children: Children
    blobs: Blobs
    job_folder: Callable[[], AbstractContextManager[Path]]

    async def frames(self, ref: BlobRef) -> Selection:
        """The frames of the dataset whose manifest that is, split as it was stored.

        Raises BlobMissing, BlobCorrupt, IngestBroken.
        """
        manifest = await self.blobs.get_model(ref.key, DatasetManifest)
        with self.job_folder() as work:
            train = await self._hashes(manifest.train, manifest.train_frames, work / "train.lmdb")
            held_out = await self._hashes(manifest.held_out, manifest.held_out_frames, work / "held-out.lmdb")
        nothing = np.zeros(len(train) + len(held_out), dtype=np.bool_)
        is_held_out = np.arange(len(nothing)) >= len(train)
        hashes = np.concatenate([train, held_out])
        return Selection(hashes, is_held_out, b"", Elsewhere(nothing, nothing, nothing))

    async def _hashes(self, ref: BlobRef | None, frames: int, folder: Path) -> HashArray:
        if ref is None:
            return np.zeros((0, HASH_BYTES), dtype=np.uint8)
        await self.blobs.get_file(ref, folder / DATA_FILE)
        answer, settings = folder.with_suffix(".hashes"), self.settings
        # LMDB maps the whole file.
        limits = Limits(
            settings.child_memory_mib * MEBIBYTE + ref.size, settings.child_cpu_seconds, HASH_BYTES * frames
        )
        job = Job(
            "ingest.confined.rehashing:run",
            {"folder": str(folder)},
            limits,
            settings.child_wall_seconds,
            outputs=(answer,),
            readable=(folder,),
            imports=LIGHT_IMPORTS,
        )
        ending = await self.children.run(job)
        if not ending.well:
            raise IngestBroken(f"hashing {ref.key} failed: {ending.why}; {ending.stderr}")
        found = await asyncio.to_thread(np.fromfile, answer, dtype=np.uint8)
        if len(found) != HASH_BYTES * frames:
            raise IngestBroken(f"{ref.key} gave {len(found) // HASH_BYTES} hashes, and its manifest says {frames}")
        return found.reshape(frames, HASH_BYTES)
