"""/api/v1/datasets/{id}/events: a snapshot, then every change, as server-sent events.

    event: snapshot   data: the dataset's JSON
    event: update     data: members that replace what the reader has; `point` joins training.curve by its step

A raw ASGI endpoint: a StreamingResponse would cost a task group and a generator for each of thousands of watchers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from contracts.base import DatasetRef
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.api.datasets import gateway_of
from gateway.feed import Message, Watcher, encode, place_message
from gateway.identity import reader

RETRY = b"retry: 2000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class DatasetEvents:
    """The live stream of one dataset. 404 to whoever may not see it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        gateway = gateway_of(request)
        view = await gateway.datasets.get(await reader(request), request.path_params["dataset_id"])
        async with gateway.feed.watching(DatasetRef(dataset_id=view.id, version=view.version)) as watcher:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": RETRY, "more_body": True})
            client = asyncio.create_task(_gone(receive, watcher))
            try:
                async for data in self._events(request, watcher, gateway.settings.keep_alive_seconds):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                with suppress(Exception):  # the client is gone more often than not
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                client.cancel()

    async def _events(self, request: Request, watcher: Watcher, quiet_seconds: float) -> AsyncIterator[bytes]:
        position = 0
        for message in await self._beginning(request):
            position = message.position if message.position is not None else position
            yield message.data
        while True:
            try:
                next_message = await asyncio.wait_for(watcher.queue.get(), quiet_seconds)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if next_message is None:
                return
            if next_message.position is None or next_message.position > position:
                yield next_message.data

    async def _beginning(self, request: Request) -> list[Message]:
        """What was missed since Last-Event-ID, else a snapshot. The watcher is registered already: no gap."""
        gateway = gateway_of(request)
        who, dataset_id = await reader(request), request.path_params["dataset_id"]
        last = request.headers.get("last-event-id", "")
        view, position = await gateway.datasets.snapshot(who, dataset_id)
        if last.isdecimal() and last.isascii() and len(last) < 19:
            missed = await gateway.feed.missed(DatasetRef(dataset_id=view.id, version=view.version), int(last))
            if missed is not None:
                return [*missed, Message(None, place_message(view.queue))]
        return [Message(position, encode("snapshot", view.model_dump_json(), position))]


async def _gone(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.give(None)


def routes() -> list[BaseRoute]:
    return [Route("/api/v1/datasets/{dataset_id:uuid}/events", DatasetEvents(), methods=["GET"])]
