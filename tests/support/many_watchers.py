"""Thousands of readers of one live stream in a process of its own, on bare sockets.

    python many_watchers.py <host> <port> <path> <watchers>

Prints `ready` when every stream has begun. At the end of its standard input it prints, as JSON, for each event's
position how many watchers had it and when the last one did (seconds of CLOCK_MONOTONIC, which all processes share).
"""

import asyncio
import json
import re
import sys
import time

IDENTIFIER = re.compile(rb"\nid: (\d+)\n")
AT_ONCE = 40
Arrivals = dict[int, tuple[int, float]]


class Reader(asyncio.Protocol):
    """One stream; what it holds is the beginning of an event that has not come whole."""

    def __init__(self, request: bytes, arrivals: Arrivals) -> None:
        self.request = request
        self.arrivals = arrivals
        self.rest = b""
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        *whole, self.rest = (self.rest + data).split(b"\n\n")
        for event in whole:
            found = IDENTIFIER.search(b"\n" + event)
            if found is None:
                continue
            count, _ = self.arrivals.get(int(found[1]), (0, 0.0))
            self.arrivals[int(found[1])] = (count + 1, now)
            if not self.begun.done():
                self.begun.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_exception(ConnectionError(f"no event; the answer ended with {self.rest[-300:]!r}"))


async def main(host: str, port: str, path: str, watchers: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n".encode()
    arrivals: Arrivals = {}
    gate = asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()

    async def begin() -> Reader:
        async with gate:
            _, reader = await loop.create_connection(lambda: Reader(request, arrivals), host, int(port))
            await asyncio.wait_for(reader.begun, 60)
            return reader

    readers = await asyncio.gather(*(begin() for _ in range(int(watchers))))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps({"watchers": len(readers), "arrivals": arrivals}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
