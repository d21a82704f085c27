"""Starting, watching and ending confined children; the service's side of the wall."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from kit.logs import get_logger

from ingest.confinement.kernel import Limits

log = get_logger(__name__)

_STDERR_KEPT = 4096
_WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """One task for one child. Paths are absolute.

    inputs and outputs are opened before the walls go up; `writable` is a folder that the child may fill.
    stall_seconds: it is killed when no output has grown for that long.
    """

    task: str
    arguments: dict[str, Any]
    limits: Limits
    wall_seconds: float
    stall_seconds: float | None = None
    inputs: Sequence[Path] = ()
    outputs: Sequence[Path] = ()
    readable: Sequence[Path] = ()
    writable: Path | None = None
    imports: tuple[str, ...] = ()

    def line(self) -> bytes:
        job = {
            "task": self.task,
            "arguments": self.arguments,
            "inputs": [str(path) for path in self.inputs],
            "outputs": [str(path) for path in self.outputs],
            "readable": [str(path) for path in self.readable],
            "writable": str(self.writable) if self.writable else None,
            "limits": asdict(self.limits),
        }
        return json.dumps(job).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended. `why` is in words when it did not end well."""

    why: str | None
    rule: Literal["crashed", "timed-out", "stalled", "too-much-memory", "too-much-output"] | None
    stderr: str

    @property
    def well(self) -> bool:
        return self.why is None


class Feed(Protocol):
    """What a running child still gets on its standard input, and that it calls for more."""

    async def send(self, data: bytes) -> None:
        """A child that is gone takes nothing: its end is reported elsewhere."""

    async def heard(self, seconds: float) -> None:
        """Until the child calls on its standard output, whatever it says there; at most so long."""


@dataclass(frozen=True, slots=True)
class _Line:
    _stream: asyncio.StreamWriter
    _called: asyncio.Event

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._stream.write(data)
            await self._stream.drain()

    async def heard(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), seconds)
        self._called.clear()


Feeding = Callable[[Feed], Awaitable[None]]


@dataclass
class Children:
    """Confined children of this process.

    folder       existing, owned by this process: caches that children share, written before their walls go up
    spares       sets of imports, and how many children with them are kept ready: importing dpdata takes seconds
    python_path  further folders to import from (tests bring hostile parsers)
    """

    folder: Path
    spares: dict[tuple[str, ...], int] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()
    _ready: dict[tuple[str, ...], list[asyncio.subprocess.Process]] = field(default_factory=dict, init=False)
    _alive: set[asyncio.subprocess.Process] = field(default_factory=set, init=False)

    async def prepare(self) -> None:
        """Start the spare children that are missing; they import on their own."""
        for imports, count in self.spares.items():
            ready = self._ready.setdefault(imports, [])
            ready[:] = [process for process in ready if process.returncode is None]
            while len(ready) < count:
                ready.append(await self._start(imports))

    async def close(self) -> None:
        """Kill every child."""
        self._ready.clear()
        for process in list(self._alive):
            await self._end(process)

    async def run(self, job: Job, feeding: Feeding | None = None) -> Ending:
        """Do the job in a child of its own; cancelling kills the child.

        feeding: says the child more while it works; its standard input ends when this returns. What it raises is
        raised here, and ends the child.
        """
        process = await self._take(job.imports)
        called = asyncio.Event()
        reader, listener = (
            asyncio.create_task(_tail(process.stderr)),
            asyncio.create_task(_hear(process.stdout, called)),
        )
        feeder: asyncio.Task[None] | None = None
        try:
            if process.stdin is None:
                raise RuntimeError("a child was started without standard input")
            feeder = asyncio.create_task(_feed(process.stdin, called, job, feeding))
            killed = await _watch(process, job, feeder)
            stderr = await reader
        finally:
            await self._end(process)
            reader.cancel()
            listener.cancel()
            if feeder is not None:
                feeder.cancel()
        return _ending(process.returncode, killed, stderr, job)

    async def _take(self, imports: tuple[str, ...]) -> asyncio.subprocess.Process:
        ready = self._ready.get(imports, [])
        while ready:
            # The one that was started first has most likely done its imports.
            process = ready.pop(0)
            if process.returncode is None:
                return process
        return await self._start(imports)

    async def _start(self, imports: tuple[str, ...]) -> asyncio.subprocess.Process:
        caches = self.folder / "matplotlib"
        caches.mkdir(exist_ok=True)
        # Nothing of the service's environment: it may hold credentials.
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": "/nonexistent",
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": str(caches),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        command = [sys.executable, "-I", "-X", "utf8", "-m", "ingest.confinement.child", str(os.getpid())]
        process = await asyncio.create_subprocess_exec(
            *command,
            *(str(path) for path in self.python_path),
            *imports,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._alive.add(process)
        return process

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        self._alive.discard(process)


async def _feed(stream: asyncio.StreamWriter, called: asyncio.Event, job: Job, feeding: Feeding | None) -> None:
    feed = _Line(stream, called)
    await feed.send(job.line())
    if feeding is not None:
        await feeding(feed)
    stream.close()


async def _tail(stream: asyncio.StreamReader | None) -> str:
    """The last words of a child, read to the end so that it never blocks on them."""
    kept = b""
    while stream is not None and (chunk := await stream.read(1 << 16)):
        kept = (kept + chunk)[-_STDERR_KEPT:]
    return kept.decode(errors="replace").strip()


async def _hear(stream: asyncio.StreamReader | None, called: asyncio.Event) -> None:
    """Note that a child says anything at all; what parsers print goes nowhere, and never blocks them."""
    while stream is not None and await stream.read(1 << 16):
        called.set()


async def _watch(
    process: asyncio.subprocess.Process, job: Job, feeder: asyncio.Task[None]
) -> Literal["timed-out", "stalled"] | None:
    """Wait for the end; kill a child that takes too long or makes no progress. Raises what feeding it raised."""
    started = moved = time.monotonic()
    grown = 0
    waiter = asyncio.ensure_future(process.wait())
    try:
        while True:
            done, _ = await asyncio.wait({waiter}, timeout=_WATCH_SECONDS)
            if feeder.done():
                feeder.result()
            if done:
                return None
            now = time.monotonic()
            # Outputs are opened when imports are done: only then does the child have anything to get on with.
            began = all(path.exists() for path in job.outputs)
            size = sum(path.stat().st_size for path in job.outputs if path.exists())
            if size != grown or not began:
                grown, moved = size, now
            if now - started > job.wall_seconds:
                process.kill()
                return "timed-out"
            if job.stall_seconds is not None and now - moved > job.stall_seconds:
                process.kill()
                return "stalled"
    finally:
        waiter.cancel()


def _ending(code: int | None, killed: Literal["timed-out", "stalled"] | None, stderr: str, job: Job) -> Ending:
    if killed == "timed-out":
        return Ending(f"took longer than {job.wall_seconds:g} s", killed, stderr)
    if killed == "stalled":
        return Ending(f"no progress for {job.stall_seconds:g} s", killed, stderr)
    if code == 0:
        return Ending(None, None, stderr)
    last = stderr.rsplit("\n", 1)[-1]
    if code == -signal.SIGXCPU:
        return Ending(f"used more than {job.limits.cpu_seconds} s of processor time", "timed-out", stderr)
    if code == -signal.SIGXFSZ or "File too large" in last:
        return Ending(f"wrote more than {job.limits.file_bytes >> 20} MiB", "too-much-output", stderr)
    if "MemoryError" in last:
        return Ending(f"needed more than {job.limits.memory_bytes >> 20} MiB of memory", "too-much-memory", stderr)
    if code is not None and code < 0:
        return Ending(f"was ended by {signal.Signals(-code).name}", "crashed", stderr)
    return Ending(last or f"ended with code {code}", "crashed", stderr)
