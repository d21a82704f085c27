"""Plain ASGI middleware: an ETag on every page and JSON answer, and 304 for who has it already (RFC 9110)."""

from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.ranges import same

KINDS = ("application/json", "text/html")
KEPT = (b"cache-control", b"vary", b"set-cookie", b"etag")


class Conditional:
    """For answers that come in one piece. Live streams and downloads pass through; downloads have ETags of their own.

    The tag is of the bytes that this reader gets, so it changes with the reader's language, theme and rights.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_tagged(message):
                start = message
                return
            if start is not None:
                begun, start = start, None
                if not message.get("more_body", False):
                    message = _tag(begun, message, known)
                await send(begun)
            await send(message)

        await self._app(scope, receive, tagged)


def _may_be_tagged(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return (
        message["status"] == 200
        and kind in KINDS
        and "etag" not in headers
        and "no-store" not in headers.get("cache-control", "")
    )


def _tag(start: Message, body: Message, known: str) -> Message:
    """Puts the tag on `start`; the body to send, none when it is known."""
    etag = f'"{sha256(body.get("body", b"")).hexdigest()[:32]}"'
    MutableHeaders(raw=start["headers"])["etag"] = etag
    if not same(known, etag):
        return body
    start["status"] = 304
    start["headers"] = [(name, value) for name, value in start["headers"] if name.lower() in KEPT]
    return {"type": "http.response.body", "body": b""}
