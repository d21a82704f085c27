"""/api/v1/datasets/{id}/events: a snapshot, then every change, as server-sent events.

    event: snapshot   data: the dataset's JSON
    event: update     data: members that replace what the reader has; `point` joins training.curve by its step

/api/v1/queue/events: `event: changed` whenever a line did.

A raw ASGI endpoint: a StreamingResponse would cost a task group and a generator for each of thousands of watchers.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from contracts.base import DatasetRef, Frozen
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.answers import version_of
from gateway.api.datasets import gateway_of
from gateway.feed import QUEUE_CHANGED, Message, Watcher, encode
from gateway.identity import reader
from gateway.settings import GatewaySettings

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
        view = await gateway.datasets.get(await reader(request), request.path_params["dataset_id"], version_of(request))
        async with gateway.feed.watching(DatasetRef(dataset_id=view.id, version=view.version)) as watcher:
            # The watcher is registered already: between the beginning and what follows is no gap.
            await _stream(receive, send, watcher, partial(self._beginning, request), gateway.settings)

    async def _beginning(self, request: Request) -> list[Message]:
        """What was missed since Last-Event-ID, else a snapshot."""
        gateway = gateway_of(request)
        who, dataset_id = await reader(request), request.path_params["dataset_id"]
        last = request.headers.get("last-event-id", "")
        view, position = await gateway.datasets.snapshot(who, dataset_id, version_of(request))
        if last.isdecimal() and last.isascii() and len(last) < 19:
            missed = await gateway.feed.missed(DatasetRef(dataset_id=view.id, version=view.version), int(last))
            if missed is not None:
                now = {"queue": _json(view.queue), "reading": _json(view.reading)}
                return [*missed, Message(None, encode("update", json.dumps(now)))]
        return [Message(position, encode("snapshot", view.model_dump_json(), position))]


class QueueEvents:
    """Tells that a line changed; what it looks like now is at /api/v1/queue, as each reader may see it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = gateway_of(Request(scope, receive))

        async def beginning() -> list[Message]:
            return [QUEUE_CHANGED]  # something may have happened since the page was rendered

        async with gateway.feed.watching_the_queue() as watcher:
            await _stream(receive, send, watcher, beginning, gateway.settings)


async def _stream(
    receive: Receive,
    send: Send,
    watcher: Watcher,
    beginning: Callable[[], Awaitable[list[Message]]],
    settings: GatewaySettings,
) -> None:
    """Answer with events until the client goes or the watcher is cut off."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": RETRY, "more_body": True})
    client = asyncio.create_task(_gone(receive, watcher))
    try:
        async for data in _events(watcher, beginning, settings.keep_alive_seconds):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        with suppress(Exception):  # the client is gone more often than not
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        client.cancel()


async def _events(
    watcher: Watcher, beginning: Callable[[], Awaitable[list[Message]]], quiet_seconds: float
) -> AsyncIterator[bytes]:
    position = 0
    for message in await beginning():
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
        if next_message.is_news(position):
            position = next_message.position if next_message.position is not None else position
            yield next_message.data


def _json(view: Frozen | None) -> dict[str, Any] | None:
    return view.model_dump(mode="json") if view is not None else None


async def _gone(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.give(None)


def routes() -> list[BaseRoute]:
    return [
        Route("/api/v1/datasets/{dataset_id:uuid}/events", DatasetEvents(), methods=["GET"]),
        Route("/api/v1/queue/events", QueueEvents(), methods=["GET"]),
    ]
