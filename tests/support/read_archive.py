"""One archive through ingest's engine with children that are ready, in a process of its own: `… archive format folder`.

Prints what it took as JSON; the dataset stays in `folder`.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from ingest.confinement.children import Children
from ingest.domain import Progress
from ingest.engine import LIGHT_IMPORTS, PARSER_IMPORTS, Engine, Request, read_catalogue
from ingest.settings import IngestSettings

WARM_SECONDS = 4.0


async def read(archive: Path, format_: str, folder: Path) -> dict[str, object]:
    settings = IngestSettings(blobs_url="file:///unused", max_archive_bytes=1 << 40)
    children = Children(folder / "caches", {PARSER_IMPORTS: settings.parallel_parsers, LIGHT_IMPORTS: 2})
    (folder / "caches").mkdir(parents=True)
    told: list[tuple[float, Progress]] = []
    try:
        catalogue = await read_catalogue(children, settings, folder)
        await children.prepare()
        await asyncio.sleep(WARM_SECONDS)
        work = folder / "work"
        work.mkdir()
        started = time.perf_counter()
        prepared = await Engine(settings, children, catalogue).prepare(
            Request(archive, archive.name, format_, None), work, lambda one: told.append((time.perf_counter(), one))
        )
        seconds = time.perf_counter() - started
    finally:
        await children.close()
    steps = {one.step: at - started for at, one in reversed(told)}
    return {
        "seconds": seconds,
        "steps": steps,
        "frames": prepared.selection.frames,
        "set_aside": prepared.set_aside_count,
        "content_sha256": prepared.selection.content_sha256,
        "service_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "child_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))))
