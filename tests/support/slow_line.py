"""A line on which each connection is slow: a proxy of TCP that lets so many bytes a second through, per connection."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ports import free_port

SLICE_BYTES = 64 << 10


class _Line:
    def __init__(self, host: str, port: int, bytes_per_second: float) -> None:
        self._host, self._port, self._speed = host, port, bytes_per_second
        self._open: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(self._host, self._port, limit=SLICE_BYTES)
        ways = (self._pass(reader, to_there), self._pass(there, writer))
        self._open = {*self._open, *(tasks := {asyncio.create_task(one) for one in ways})}
        await asyncio.wait(tasks)
        self._open -= tasks

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """At that speed: what a connection did not use while it was idle is not made up for."""
        clock = asyncio.get_running_loop().time
        free_at = clock()
        try:
            while data := await source.read(SLICE_BYTES):
                free_at = max(clock(), free_at) + len(data) / self._speed
                sink.write(data)
                await sink.drain()
                await asyncio.sleep(free_at - clock())
        except ConnectionError:
            return
        finally:
            sink.close()


@contextmanager
def slow_line(host: str, port: int, bytes_per_second: float) -> Iterator[str]:
    """host:port that leads to the other one."""
    own, ready, loop = free_port(), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        line = _Line(host, port, bytes_per_second)
        async with await asyncio.start_server(line.accept, "127.0.0.1", own, limit=SLICE_BYTES):
            ready.set()
            await asyncio.Event().wait()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serving)
        except asyncio.CancelledError:
            return

    serving = loop.create_task(serve())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise TimeoutError("the slow line does not listen")
    try:
        yield f"127.0.0.1:{own}"
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(10)
