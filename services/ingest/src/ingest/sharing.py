"""The archive without what must not be passed on, packed by a confined child; and how files of children are stored."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.base import BlobRef
from kit.blobs import Blobs, file_sha256

from ingest.confined.archives import printable
from ingest.confinement.children import Children, Job
from ingest.confinement.kernel import Limits
from ingest.domain import Download, IngestBroken
from ingest.opening import LIGHT_IMPORTS
from ingest.settings import MEBIBYTE, IngestSettings


async def share(children: Children, settings: IngestSettings, private: Sequence[str], work: Path) -> Download | None:
    """`work`/tree without these; None when it may be passed on as it is. Raises IngestBroken."""
    if not private:
        return None
    path = work / "shared.tar.zst"
    job = Job(
        "ingest.confined.sharing:pack",
        {"tree": str(work / "tree"), "without": list(private)},
        Limits(settings.child_memory_mib * MEBIBYTE, settings.child_cpu_seconds, settings.max_unpacked_bytes),
        settings.child_wall_seconds,
        outputs=(path,),
        readable=(work / "tree",),
        imports=LIGHT_IMPORTS,
    )
    ending = await children.run(job)
    if not ending.well:
        raise IngestBroken(f"packing {work.name} again failed: {ending.why}; {ending.stderr}")
    return Download(path, tuple(printable(one) for one in private))


async def adopt(blobs: Blobs, path: Path, key: Callable[[str], str]) -> BlobRef:
    """Into storage, under the key of its SHA-256."""
    sha256 = await asyncio.to_thread(file_sha256, path)
    if os.getuid() == 0:
        os.chown(path, 0, 0)  # a child wrote it as another user
    return await blobs.adopt_file(key(sha256), path, sha256)
