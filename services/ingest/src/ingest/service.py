"""The use case of ingest: read what was uploaded, store it, and say what came of it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.artifacts import DatasetManifest
from contracts.base import BlobRef
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from contracts.keys import dataset_file
from kit.blobs import Blobs, file_sha256
from kit.logs import get_logger

from ingest.domain import Prepared, Rejected
from ingest.engine import Request

log = get_logger(__name__)

_LISTED_IN_EVENTS = 100


class Prepares(Protocol):
    """From an archive on disk to a dataset on disk; raises Rejected."""

    async def prepare(self, request: Request, work: Path) -> Prepared: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads uploads; changes nothing but object storage, under keys that name their content."""

    engine: Prepares
    blobs: Blobs
    job_folder: Callable[[], AbstractContextManager[Path]]
    max_archive_bytes: int
    set_aside_kept: int
    afterwards: Callable[[], Awaitable[None]]

    async def read(self, event: DatasetUploaded) -> DatasetValidated | DatasetRejected:
        """The outcome to keep and to tell. May be repeated: the same archive gives the same objects."""
        try:
            with self.job_folder() as work:
                return await self._read(event, work)
        except Rejected as rejected:
            log.info("dataset-rejected", dataset=str(event.dataset), rule=rejected.rule, reason=rejected.reason)
            return DatasetRejected(
                dataset=event.dataset,
                rule=rejected.rule,
                reason=rejected.reason,
                remedy=rejected.remedy,
                set_aside=rejected.set_aside[:_LISTED_IN_EVENTS],
            )
        finally:
            await self.afterwards()

    async def _read(self, event: DatasetUploaded, work: Path) -> DatasetValidated:
        if event.archive.size > self.max_archive_bytes:
            reason = (
                f"{event.filename} has {event.archive.size / 1e9:.2f} GB; {self.max_archive_bytes / 1e9:.2f} GB fit"
            )
            raise Rejected("archive-too-large", reason, "Upload the calculations in several datasets.")
        archive = work / "archive"
        await self.blobs.get_file(event.archive, archive)
        request = Request(archive, event.filename, event.format, event.declared)
        prepared = await self.engine.prepare(request, work)
        manifest = await self._manifest(event, prepared)
        summary = prepared.summary
        log.info(
            "dataset-validated",
            dataset=str(event.dataset),
            format=prepared.format,
            frames=summary.frames,
            set_aside=len(prepared.set_aside),
        )
        return DatasetValidated(
            dataset=event.dataset,
            credit=event.credit,
            manifest=await self._put_manifest(manifest, work),
            content_sha256=summary.content_sha256,
            format=prepared.format,
            frames=summary.frames,
            train_frames=summary.train_frames,
            held_out_frames=summary.held_out_frames,
            duplicate_frames=summary.duplicate_frames,
            elements=summary.elements,
            has_virial=summary.has_virial,
            level_of_theory=prepared.level_of_theory,
            set_aside_count=len(prepared.set_aside),
            set_aside=prepared.set_aside[:_LISTED_IN_EVENTS],
        )

    async def _manifest(self, event: DatasetUploaded, prepared: Prepared) -> DatasetManifest:
        summary = prepared.summary
        content = summary.content_sha256
        train = None if prepared.train is None else await self._put(content, "train", prepared.train)
        return DatasetManifest(
            dataset=event.dataset,
            content_sha256=content,
            train=train,
            held_out=await self._put(content, "held-out", prepared.held_out),
            frames=summary.frames,
            train_frames=summary.train_frames,
            held_out_frames=summary.held_out_frames,
            duplicate_frames=summary.duplicate_frames,
            atoms=summary.atoms,
            elements=summary.elements,
            compositions=summary.compositions,
            has_virial=summary.has_virial,
            level_of_theory=prepared.level_of_theory,
            format=prepared.format,
            set_aside=prepared.set_aside[: self.set_aside_kept],
            energy_per_atom_ev=summary.energy_per_atom_ev,
            force_component_ev_per_angstrom=summary.force_component_ev_per_angstrom,
            preview=summary.preview,
            versions=prepared.versions,
        )

    async def _put(self, content: str, name: str, path: Path) -> BlobRef:
        # Two datasets may hold the same structures with other labels: the file's own hash is in the key.
        sha256 = await asyncio.to_thread(file_sha256, path)
        if os.getuid() == 0:
            os.chown(path, 0, 0)  # the child wrote it as another user
        return await self.blobs.adopt_file(dataset_file(content, f"{name}-{sha256[:16]}.mdb"), path, sha256)

    async def _put_manifest(self, manifest: DatasetManifest, work: Path) -> BlobRef:
        path = work / "manifest.json"
        path.write_bytes(manifest.model_dump_json().encode())
        sha256 = await asyncio.to_thread(file_sha256, path)
        ref = manifest.dataset
        name = f"manifest-{ref.dataset_id}-{ref.version}-{sha256[:16]}.json"
        return await self.blobs.adopt_file(dataset_file(manifest.content_sha256, name), path, sha256)
