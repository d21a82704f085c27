"""How far the reading of one dataset is, and how long it may still take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from ingest.domain import Progress, Tell

_LOOK_SECONDS = 0.4
# Nothing is said of the end before this much of the bytes, and this many seconds, are behind.
_SURE_FRACTION = 0.02
_SURE_SECONDS = 1.0
# What assembling takes, as a part of the time that parsing takes.
_ASSEMBLING_SHARE = 0.25


def silent(progress: Progress) -> None:
    """Where nobody wants to know."""


@dataclass
class Meter:
    """Knows the latest numbers and tells them. `clock`: seconds, only ever forwards."""

    tell: Tell
    clock: Callable[[], float] = time.monotonic
    now: Progress = field(default_factory=Progress)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def step(self, step: Literal["unpacking", "finding", "parsing", "assembling"], files: int | None = None) -> None:
        if step != self.now.step:
            self._began = self.clock()
        self.now = replace(
            self.now, step=step, files=self.now.files if files is None else max(files, self.now.files), eta_seconds=None
        )
        self.tell(self.now)

    def found(self, calculations: int) -> None:
        """So many until now: there may be more, while the first ones are parsed."""
        self.now = replace(self.now, calculations=calculations)
        if self.now.step != "parsing":
            self.step("parsing")

    def parsing(self, parsed: int, frames: int, set_aside: int, fraction: float) -> None:
        """`fraction`: of the bytes to read, 0..1."""
        eta = self._remaining(fraction)
        if eta is not None:
            eta += _ASSEMBLING_SHARE * (self.clock() - self._began) / fraction
        self.now = replace(self.now, parsed=parsed, frames=frames, set_aside=set_aside, eta_seconds=_rounded(eta))
        self.tell(self.now)

    def assembling(self, fraction: float) -> None:
        """`fraction`: of the frames to write, 0..1."""
        self.now = replace(self.now, eta_seconds=_rounded(self._remaining(fraction)))
        self.tell(self.now)

    def _remaining(self, fraction: float) -> float | None:
        return remaining(self.clock() - self._began, min(fraction, 1.0))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def remaining(elapsed: float, fraction: float) -> float | None:
    """Seconds until all is done, at the pace so far; None while that would be a guess."""
    if elapsed < _SURE_SECONDS or fraction < _SURE_FRACTION:
        return None
    return elapsed * (1 - fraction) / fraction


@asynccontextmanager
async def looking(look: Callable[[], None]) -> AsyncIterator[None]:
    """Looks again and again, in a thread, what children report, until the block is left."""

    async def again() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(look)

    watcher = asyncio.create_task(again())
    try:
        yield
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
