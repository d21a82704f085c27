"""/api/v1/datasets/{id}/events: a snapshot, then every change, as server-sent events.

    event: snapshot   data: the dataset's JSON
    event: update     data: members that replace what the reader has; `point` joins training.curve by its step

/api/v1/queue/events: `event: changed` whenever a line did.

A raw ASGI endpoint: a StreamingResponse would cost a task group and a generator for each of thousands of watchers.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from contracts.base import DatasetRef, Frozen
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.api.datasets import gateway_of
from gateway.domain import Person
from gateway.http.answers import version_of
from gateway.live.feed import QUEUE_CHANGED, Message, Watcher, encode
from gateway.people.identity import reader, still
from gateway.problems import sign_in_first
from gateway.service import Gateway
from gateway.settings import GatewaySettings

RETRY = b"retry: 2000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
KEPT, KEPT_SECONDS = 128, 2.0
PERSON_SECONDS = 900.0
"""A person's stream ends then; it comes back while session or token hold: nothing tells that their time is over."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class _Now:
    """A dataset at a moment, encoded: all of it, and what the log does not hold. `heard`: None when nobody else may."""

    heard: int | None
    until: float
    position: int
    snapshot: bytes
    passing: bytes


class DatasetEvents:
    """The live stream of one dataset. 404 to whoever may not see it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[DatasetRef, _Now] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        gateway = gateway_of(request)
        who, dataset_id = await reader(request), request.path_params["dataset_id"]
        ref = await gateway.datasets.ref(who, dataset_id, version_of(request))
        async with gateway.feed.watching(ref, who.id if who else None) as watcher:
            # The watcher is registered already: between the beginning and what follows is no gap, and a right that ends
            # from here on ends the stream.
            if who is not None and not await still(request):
                raise sign_in_first()
            beginning = partial(self._beginning, gateway, who, ref, watcher, request.headers.get("last-event-id", ""))
            most = None if who is None else PERSON_SECONDS
            await _stream(receive, send, watcher, beginning, gateway.settings, most)

    async def _beginning(
        self, gateway: Gateway, who: Person | None, ref: DatasetRef, watcher: Watcher, last: str
    ) -> list[Message]:
        """What was missed since Last-Event-ID, else a snapshot."""
        now = await self._now(gateway, who, ref, watcher.since)
        if last.isdecimal() and last.isascii() and len(last) < 19:
            missed = await gateway.feed.missed(ref, int(last))
            if missed is not None:
                return [*missed, Message(None, now.passing)]
        return [Message(now.position, now.snapshot)]

    async def _now(self, gateway: Gateway, who: Person | None, ref: DatasetRef, since: int) -> _Now:
        """The dataset as this reader sees it, of position `since` or later.

        After a restart thousands of strangers come back at once: what one is told is kept for the others.
        """
        heard = gateway.feed.heard if who is None else None
        kept = self._kept.get(ref)
        if kept is not None and kept.heard == heard and kept.position >= since and monotonic() < kept.until:
            return kept
        view, position = await gateway.datasets.snapshot(who, ref.dataset_id, ref.version)
        passing = json.dumps({"queue": _json(view.queue), "reading": _json(view.reading)})
        now = _Now(
            heard=heard,
            until=monotonic() + KEPT_SECONDS,
            position=position,
            snapshot=encode("snapshot", view.model_dump_json(), position),
            passing=encode("update", passing),
        )
        if heard is not None:
            self._kept[ref] = now
            self._kept.move_to_end(ref)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return now


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
    seconds: float | None = None,
) -> None:
    """Answer with events until the client goes, the watcher is cut off or the time is over."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": RETRY, "more_body": True})
    client = asyncio.create_task(_gone(receive, watcher))
    end = asyncio.get_running_loop().call_later(seconds, watcher.end) if seconds else None
    try:
        async for data in _events(watcher, beginning, settings.keep_alive_seconds):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        with suppress(Exception):  # the client is gone more often than not
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        client.cancel()
        if end:
            end.cancel()


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
