"""One archive through ingest's engine with children that are ready, in a process of its own: `… archive format folder`.

Prints what it took as JSON; the dataset stays in `folder`.
"""

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path

from ingest.confinement.children import Children
from ingest.domain import Progress
from ingest.engine import LIGHT_IMPORTS, PARSER_IMPORTS, Engine, Request, read_catalogue
from ingest.settings import IngestSettings

_LOOK_SECONDS = 0.1
_ASLEEP_FOR = 10


async def children_wait() -> None:
    """Until every child of this process has done its imports and waits for work, however busy the machine is."""
    asleep = 0
    while asleep < _ASLEEP_FOR:
        await asyncio.sleep(_LOOK_SECONDS)
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        states = {Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in listed}
        asleep = asleep + 1 if states == {"S"} else 0


def cpu_seconds() -> float:
    """Of this process and all its children, those that ended included."""
    ticks = 0
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        ticks += int(user) + int(system)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


async def read(archive: Path, format_: str, folder: Path) -> dict[str, object]:
    settings = IngestSettings(blobs_url="file:///unused", max_archive_bytes=1 << 40)
    children = Children(folder / "caches", {PARSER_IMPORTS: settings.parallel_parsers, LIGHT_IMPORTS: 2})
    (folder / "caches").mkdir(parents=True)
    told: list[tuple[float, Progress]] = []
    try:
        catalogue = await read_catalogue(children, settings, folder)
        await children.prepare()
        await children_wait()
        work = folder / "work"
        work.mkdir()
        began_cpu = cpu_seconds()
        began, started = time.time(), time.perf_counter()
        prepared = await Engine(settings, children, catalogue).prepare(
            Request(archive, archive.name, format_, None), work, lambda one: told.append((time.perf_counter(), one))
        )
        seconds, spent = time.perf_counter() - started, cpu_seconds() - began_cpu
        unpacked = max(path.stat().st_mtime for path in (work / "tree").rglob("*")) - began
    finally:
        await children.close()
    steps = {one.step: at - started for at, one in reversed(told)}
    return {
        "seconds": seconds,
        "cpu_seconds": spent,
        "steps": steps | {"finding": unpacked},
        "frames": prepared.selection.frames,
        "set_aside": prepared.set_aside_count,
        "content_sha256": prepared.selection.content_sha256,
        "service_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "child_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))))
