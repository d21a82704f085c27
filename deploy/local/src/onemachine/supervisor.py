"""Starts units in order, keeps them running, stops them in reverse. Nothing outlives it, however it ends."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from onemachine.errors import CannotStart
from onemachine.unit import Unit

READY_TIMEOUT_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Units that start together; `afterwards` runs when all are ready, before the next stage."""

    units: Sequence[Unit]
    afterwards: Callable[[], Awaitable[None]] | None = None


class Supervisor:
    """`ready` is called once, when every unit of every stage answers; `changed` at every change."""

    def __init__(self, stages: Sequence[Stage], ready: Callable[[], None], changed: Callable[[str], None]) -> None:
        self._stages = stages
        self._ready = ready
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for unit in self.units:
            unit.changed = changed

    @property
    def units(self) -> list[Unit]:
        return [unit for stage in self._stages for unit in stage.units]

    async def run(self) -> None:
        """Until SIGTERM, SIGINT or SIGHUP. Raises CannotStart; whatever had started is stopped first."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        start = asyncio.create_task(self._start())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({start, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                await start  # raises what went wrong
                self._ready()
                await stopped
        finally:
            start.cancel()
            stopped.cancel()
            await self._stop()

    async def _start(self) -> None:
        for stage in self._stages:
            for unit in stage.units:
                self._tasks[unit.name] = asyncio.create_task(unit.run(), name=unit.name)
            await asyncio.gather(*(self._until_ready(unit) for unit in stage.units))
            if stage.afterwards is not None:
                await stage.afterwards()

    async def _until_ready(self, unit: Unit) -> None:
        ready = asyncio.create_task(unit.ready.wait())
        run = self._tasks[unit.name]
        try:
            done, _ = await asyncio.wait(
                {ready, run}, timeout=READY_TIMEOUT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if run in done:
            await run  # it never returns by itself: raises
        if not done:
            raise CannotStart(f"{unit.name} is not ready after {READY_TIMEOUT_SECONDS:.0f} s; {unit.tail()}")

    async def _stop(self) -> None:
        for stage in reversed(self._stages):
            tasks = [self._tasks[unit.name] for unit in stage.units if unit.name in self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(unit.stop() for unit in stage.units))
