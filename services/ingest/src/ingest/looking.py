"""The use case for archives that are shared only: nothing is read, but what must not be passed on is left out."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from contracts.events import DatasetLookedInto, DatasetRejected, DatasetShared
from contracts.keys import shared_file
from kit.blobs import Blobs
from kit.logs import get_logger

from ingest.confinement.children import Children, Job
from ingest.confinement.kernel import Limits
from ingest.domain import Rejected, too_large
from ingest.opening import LIGHT_IMPORTS, raise_refused, read_answer, unpacking, unreadable
from ingest.parsing import blame_ourselves
from ingest.settings import MEBIBYTE, IngestSettings
from ingest.sharing import adopt, share

log = get_logger(__name__)

_LARGEST_ANSWER = 512 * MEBIBYTE
_LISTED_IN_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Looking:
    """Changes nothing but object storage, under keys that name their content."""

    settings: IngestSettings
    children: Children
    blobs: Blobs
    job_folder: Callable[[], AbstractContextManager[Path]]

    async def look(self, event: DatasetShared) -> DatasetLookedInto | DatasetRejected:
        """May be repeated: the same archive gives the same copy. Raises IngestBroken when it is our fault."""
        try:
            with self.job_folder() as work:
                told = await self._look(event, work)
        except Rejected as rejected:
            log.info("shared-rejected", dataset=str(event.dataset), rule=rejected.rule, reason=rejected.reason)
            return DatasetRejected(
                dataset=event.dataset, rule=rejected.rule, reason=rejected.reason, remedy=rejected.remedy
            )
        finally:
            await self.children.prepare()
        log.info("shared-looked-into", dataset=str(event.dataset), removed=len(told.removed))
        return told

    async def _look(self, event: DatasetShared, work: Path) -> DatasetLookedInto:
        if event.archive.size > self.settings.max_archive_bytes:
            raise too_large(event.filename, event.archive.size, self.settings.max_archive_bytes)
        archive = work / "archive"
        await self.blobs.get_file(event.archive, archive)
        download = await share(self.children, self.settings, await self._private(event, archive, work), work)
        if download is None:
            return DatasetLookedInto(dataset=event.dataset)
        stored = await adopt(
            self.blobs,
            download.archive,
            lambda sha256: shared_file(event.archive.sha256, f"archive-{sha256[:16]}.tar.zst"),
        )
        removed = download.removed[:_LISTED_IN_EVENTS]
        return DatasetLookedInto(dataset=event.dataset, download=stored, removed=removed)

    async def _private(self, event: DatasetShared, archive: Path, work: Path) -> list[str]:
        """Extracts into `work`/tree; which of its files must not be passed on. Raises Rejected."""
        settings, tree, answer = self.settings, work / "tree", work / "looked.json"
        tree.mkdir()
        job = Job(
            "ingest.confined.opening:look",
            unpacking(archive, event.filename, tree, settings),
            Limits(settings.child_memory_mib * MEBIBYTE, settings.child_cpu_seconds, settings.max_unpacked_bytes),
            settings.child_wall_seconds,
            inputs=(archive,),
            outputs=(answer,),
            writable=tree,
            imports=LIGHT_IMPORTS,
        )
        ending = await self.children.run(job)
        if not ending.well:
            blame_ourselves(ending)
            raise unreadable(event.filename, ending.why)
        said = await asyncio.to_thread(read_answer, answer, _LARGEST_ANSWER)
        raise_refused(said)
        if not said["shared"]:
            reason = f"{event.filename} holds nothing that may be passed on"
            raise Rejected("nothing-to-share", reason, "Add files that may be shared, and upload it again.")
        return [str(one) for one in said["private"]]
