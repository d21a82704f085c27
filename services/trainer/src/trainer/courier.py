"""Carries progress and checkpoints to the registry while training goes on, whether the registry answers or not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from contracts import keys
from contracts.base import BlobRef
from kit.logs import get_logger
from obstore.exceptions import BaseError as StorageError

from trainer.domain import Checkpoint, Lease, RegistryAway, Report

log = get_logger(__name__)

Result = TypeVar("Result")
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 15.0


class Registry(Protocol):
    """What the courier needs of the fleet service."""

    async def report(self, lease: Lease, report: Report) -> None: ...
    async def checkpoint(self, lease: Lease, checkpoint: Checkpoint) -> None: ...


class Storage(Protocol):
    """What the courier needs of object storage."""

    async def put_file(self, key: str, path: Path) -> BlobRef: ...
    async def delete(self, key: str) -> None: ...


async def persistently(what: str, call: Callable[[], Awaitable[Result]]) -> Result:
    """Repeat while the registry or object storage is away, with growing pauses. Other errors pass."""
    pause = FIRST_RETRY_SECONDS
    while True:
        try:
            return await call()
        except (RegistryAway, ConnectionError, TimeoutError, StorageError) as error:
            log.warning("waiting-for-infrastructure", what=what, seconds=pause, error=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)


class Courier:
    """Looks at held-out frames are all delivered, in their order: they make up the curve. Of signs of life in between,
    and of checkpoints, only the newest matters: what was not sent yet is replaced.
    """

    def __init__(self, registry: Registry, storage: Storage, lease: Lease, pause_seconds: float) -> None:
        self._registry = registry
        self._storage = storage
        self._lease = lease
        self._pause_seconds = pause_seconds
        self._reports: list[Report] = []
        self._saved: tuple[Path, int] | None = None
        self._stored_key: str | None = None
        self._next_report = 0.0
        self._hurry = False
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()

    def report(self, report: Report) -> None:
        if self._reports and not self._reports[-1].branches:
            self._reports.pop()
        self._reports.append(report)
        self._wake()

    def saved(self, path: Path, step: int) -> None:
        """A checkpoint lies at `path`, complete."""
        self._saved = path, step
        self._wake()

    async def flush(self) -> None:
        """Wait until everything is with the registry; from now on without pauses."""
        self._hurry = True
        self._wake()
        await self._idle.wait()

    async def run(self) -> None:
        """For ever. Raises LeaseLost, RegistryRefused."""
        clock = asyncio.get_running_loop().time
        while True:
            pause = None
            if self._saved is not None:
                (path, step), self._saved = self._saved, None
                await self._deliver_checkpoint(path, step)
                continue
            if not self._reports:
                self._idle.set()
            elif self._hurry or clock() >= self._next_report:
                report = self._reports.pop(0)
                await persistently("report", partial(self._registry.report, self._lease, report))
                self._next_report = clock() + self._pause_seconds
                continue
            else:
                pause = self._next_report - clock()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause)
            self._changed.clear()

    def _wake(self) -> None:
        self._idle.clear()
        self._changed.set()

    async def _deliver_checkpoint(self, path: Path, step: int) -> None:
        key = keys.round_file(self._lease.round_id, f"checkpoint-{self._lease.fence}-{step}.pt")
        try:
            blob = await persistently("checkpoint", partial(self._storage.put_file, key, path))
        except FileNotFoundError:
            # The training program keeps a few: this one is gone because newer ones are there.
            log.info("checkpoint-superseded", step=step)
            return
        checkpoint = Checkpoint(blob, step)
        await persistently("checkpoint", partial(self._registry.checkpoint, self._lease, checkpoint))
        log.info("checkpoint-stored", step=step, bytes=blob.size)
        if self._stored_key is not None and self._stored_key != key:
            await self._storage.delete(self._stored_key)
        self._stored_key = key
