"""Background tasks of a service: when one fails, the service stops with its error and is started afresh."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Holds background tasks; `wait` raises the first failure."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] | None = None

    def create_task(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raise when a task failed."""
        failed = asyncio.get_running_loop().create_future()
        self._failed = failed
        for task in self._tasks:
            if task.done():
                self._ended(task)
        waiter = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({waiter, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
        finally:
            waiter.cancel()
            self._failed = None

    async def cancel(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        running = [task for task in self._tasks if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            self._tasks.discard(task)
        elif self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)
