"""The use case of ingest: read what was uploaded, store it, and say what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.artifacts import DatasetManifest
from contracts.base import BlobRef, DatasetRef, Frozen, LabelCount
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from contracts.keys import dataset_file
from kit.blobs import Blobs, file_sha256
from kit.logs import get_logger

from ingest.domain import Prepared, Rejected, Tell, too_large
from ingest.engine import Request
from ingest.selecting import Ask, Selection, overlapping
from ingest.sharing import adopt

log = get_logger(__name__)

_LISTED_IN_EVENTS = 100
_OVERLAPS_IN_EVENTS = 20


class Prepares(Protocol):
    """From an archive on disk to a dataset on disk; raises Rejected."""

    async def prepare(self, request: Request, work: Path, tell: Tell, ask: Ask) -> Prepared: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to tell and to keep; with the frames of a dataset that was validated."""

    event: DatasetValidated | DatasetRejected
    selection: Selection | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads uploads; changes nothing but object storage, under keys that name their content."""

    engine: Prepares
    blobs: Blobs
    job_folder: Callable[[], AbstractContextManager[Path]]
    max_archive_bytes: int
    set_aside_kept: int
    afterwards: Callable[[], Awaitable[None]]

    async def read(self, event: DatasetUploaded, tell: Tell, ask: Ask) -> Outcome:
        """The outcome to keep and to tell. May be repeated: the same archive gives the same objects.

        tell: how far it is; ask: what other datasets say about the frames.
        """
        try:
            with self.job_folder() as work:
                return await self._read(event, work, tell, ask)
        except Rejected as rejected:
            log.info("dataset-rejected", dataset=str(event.dataset), rule=rejected.rule, reason=rejected.reason)
            told = DatasetRejected(
                dataset=event.dataset,
                rule=rejected.rule,
                reason=rejected.reason,
                remedy=rejected.remedy,
                set_aside=rejected.set_aside[:_LISTED_IN_EVENTS],
            )
            return Outcome(told)
        finally:
            await self.afterwards()

    async def _read(self, event: DatasetUploaded, work: Path, tell: Tell, ask: Ask) -> Outcome:
        if event.archive.size > self.max_archive_bytes:
            raise too_large(event.filename, event.archive.size, self.max_archive_bytes)
        archive = work / "archive"
        await self.blobs.get_file(event.archive, archive)
        request = Request(archive, event.filename, event.format, event.declared)
        prepared = await self.engine.prepare(request, work, tell, ask)
        manifest = await self._manifest(event, prepared, work)
        log.info(
            "dataset-validated",
            dataset=str(event.dataset),
            format=prepared.format,
            frames=manifest.frames,
            set_aside=prepared.set_aside_count,
        )
        told = DatasetValidated(
            dataset=event.dataset,
            credit=event.credit,
            manifest=await self._put_json("manifest", manifest, manifest.content_sha256, event.dataset, work),
            content_sha256=manifest.content_sha256,
            format=manifest.format,
            frames=manifest.frames,
            train_frames=manifest.train_frames,
            held_out_frames=manifest.held_out_frames,
            duplicate_frames=manifest.duplicate_frames,
            elements=manifest.elements,
            has_virial=manifest.has_virial,
            level_of_theory=manifest.level_of_theory,
            set_aside_count=prepared.set_aside_count,
            set_aside=prepared.set_aside[:_LISTED_IN_EVENTS],
            detection=manifest.detection,
            declared=manifest.declared,
            theory_mismatches=manifest.theory_mismatches,
            overlaps=manifest.overlaps[:_OVERLAPS_IN_EVENTS],
            standard_frames=manifest.standard_frames,
            labels=manifest.labels,
            scf=manifest.scf,
            download=manifest.download,
            removed=manifest.removed[:_LISTED_IN_EVENTS],
            train=manifest.train,
            held_out=manifest.held_out,
            element_counts=manifest.element_counts,
        )
        return Outcome(told, prepared.selection)

    async def _manifest(self, event: DatasetUploaded, prepared: Prepared, work: Path) -> DatasetManifest:
        summary, selection = prepared.summary, prepared.selection
        content = await asyncio.to_thread(lambda: selection.content_sha256)
        train = None if prepared.train is None else await self._put(content, "train-{}.mdb", prepared.train)
        download = prepared.download
        return DatasetManifest(
            dataset=event.dataset,
            content_sha256=content,
            train=train,
            held_out=await self._put(content, "held-out-{}.mdb", prepared.held_out),
            frames=selection.frames,
            train_frames=selection.train_frames,
            held_out_frames=selection.held_out_frames,
            duplicate_frames=selection.duplicate_frames,
            atoms=summary.atoms,
            elements=summary.elements,
            compositions=summary.compositions,
            has_virial=summary.virial_frames > 0,
            level_of_theory=prepared.level_of_theory,
            format=prepared.format,
            set_aside=prepared.set_aside[: self.set_aside_kept],
            energy_per_atom_ev=summary.energy_per_atom_ev,
            force_component_ev_per_angstrom=summary.force_component_ev_per_angstrom,
            preview=summary.preview,
            versions=prepared.versions,
            detection=prepared.detection,
            declared=event.declared,
            theory_mismatches=prepared.theory_mismatches,
            overlaps=selection.elsewhere.overlaps,
            known_in=await self._known_in(event, selection, work),
            standard_frames=selection.elsewhere.standard_frames,
            frame_hashes=await self._put_hashes(content, selection, work),
            labels=(
                LabelCount(name="energy", unit="eV", frames=selection.frames),
                LabelCount(name="force", unit="eV/Å", frames=selection.frames),
                LabelCount(name="virial", unit="eV", frames=summary.virial_frames),
            ),
            scf=prepared.scf,
            element_pairs=summary.element_pairs,
            element_counts=summary.element_counts,
            download=None if download is None else await self._put(content, "archive-{}.tar.zst", download.archive),
            removed=() if download is None else download.removed[: self.set_aside_kept],
        )

    async def _known_in(self, event: DatasetUploaded, selection: Selection, work: Path) -> BlobRef | None:
        found = await asyncio.to_thread(overlapping, selection)
        return (
            None
            if found is None
            else await self._put_json("known-in", found, selection.content_sha256, event.dataset, work)
        )

    async def _put(self, content: str, name: str, path: Path) -> BlobRef:
        # Two datasets may hold the same structures with other labels: the file's own hash is in the key.
        return await adopt(self.blobs, path, lambda sha256: dataset_file(content, name.format(sha256[:16])))

    async def _put_hashes(self, content: str, selection: Selection, work: Path) -> BlobRef:
        """So that others can tell which training frames are test frames of theirs, without reading any."""
        path = work / "hashes.bin"
        await asyncio.to_thread(selection.in_file_order.tofile, path)
        return await self._put(content, "hashes-{}.bin", path)

    async def _put_json(self, name: str, what: Frozen, content_sha256: str, ref: DatasetRef, work: Path) -> BlobRef:
        path = work / f"{name}.json"
        path.write_bytes(what.model_dump_json().encode())
        sha256 = await asyncio.to_thread(file_sha256, path)
        key = dataset_file(content_sha256, f"{name}-{ref.dataset_id}-{ref.version}-{sha256[:16]}.json")
        return await self.blobs.adopt_file(key, path, sha256)
