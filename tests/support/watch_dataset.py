"""Many watchers of one dataset in one process: `watch_dataset.py HOST PORT PATH WATCHERS LAST_STEP`.

Prints "watching" when every stream has its snapshot, and at the end JSON: step → [how many heard of it, when the first
and the last did], on the system's monotonic clock. It ends when all have heard of the last step.
"""

import asyncio
import json
import re
import resource
import sys
import time

STEP = re.compile(rb'"step": ?(\d+)')
OPEN_AT_ONCE = 50


class Crowd:
    """What all watchers have heard."""

    def __init__(self, watchers: int, last_step: int) -> None:
        self.watchers, self.last_step = watchers, last_step
        self.heard: dict[int, list[float]] = {}
        self.snapshots = 0
        self.all_watch, self.all_heard = asyncio.Event(), asyncio.Event()

    def snapshot(self) -> None:
        self.snapshots += 1
        if self.snapshots == self.watchers:
            self.all_watch.set()

    def step(self, step: int) -> None:
        now = time.monotonic()
        told = self.heard.setdefault(step, [0, now, now])
        told[0] += 1
        told[2] = now
        if step == self.last_step and told[0] == self.watchers:
            self.all_heard.set()


class Stream(asyncio.Protocol):
    """One watcher, as light as it can be."""

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd, self._request = crowd, request
        self._rest = b""
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if b"event: snapshot" in event and not self._begun:
                self._begun = True
                self._crowd.snapshot()
            elif b'"point":' in event and (found := STEP.search(event, event.index(b'"point":'))):
                self._crowd.step(int(found[1]))


async def main(host: str, port: int, path: str, watchers: int, last_step: int) -> None:
    loop, crowd, door = asyncio.get_running_loop(), Crowd(watchers, last_step), asyncio.Semaphore(OPEN_AT_ONCE)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()

    async def opened() -> None:
        async with door:
            await loop.create_connection(lambda: Stream(crowd, request), host, port)

    await asyncio.gather(*(opened() for _ in range(watchers)))
    await asyncio.wait_for(crowd.all_watch.wait(), 240)
    print("watching", flush=True)
    await asyncio.wait_for(crowd.all_heard.wait(), 300)
    print(json.dumps(crowd.heard), flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(sys.argv[4]) + 100
    if most != resource.RLIM_INFINITY and most < wanted:
        sys.exit(f"this needs {wanted} open files; the system allows {most} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
