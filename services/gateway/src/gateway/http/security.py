"""Plain ASGI middleware: who the client is behind a proxy, response headers, requests from other sites.

Plain ASGI because BaseHTTPMiddleware would wrap streaming responses.
"""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import Problem

UPLOADS = "/api/v1/uploads/"
Refuse = Callable[[Request, Problem], Awaitable[Response]]
"""How a refusal is told: as a page to people, as problem+json to programs."""


def content_security_policy(addresses: Sequence[str]) -> str:
    """`addresses`: origins of storage regions, which pages measure and upload to."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            " ".join(("connect-src 'self'", *addresses)),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "object-src 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "x-frame-options": "DENY",
}
STRICT_TRANSPORT = "max-age=63072000; includeSubDomains"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class BehindProxy:
    """Takes the client's address and scheme from the proxy in front, and the scheme from the public address."""

    def __init__(self, app: ASGIApp, believed: bool, public_url: str | None) -> None:
        self._app = app
        self._believed = believed
        self._scheme = urlsplit(public_url).scheme if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._believed:
                headers = Headers(scope=scope)
                # The last entry is the one that our own proxy wrote; the others are anybody's claim.
                address = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
                if address:
                    scope["client"] = (address, 0)
                scheme = headers.get("x-forwarded-proto", "").strip().lower()
                if scheme in ("http", "https"):
                    scope["scheme"] = scheme
            if self._scheme:
                scope["scheme"] = self._scheme
        await self._app(scope, receive, send)


class SecurityHeaders:
    """On every response; one that sets a header itself keeps its own."""

    def __init__(self, app: ASGIApp, addresses: Sequence[str] = ()) -> None:
        self._app = app
        self._headers = HEADERS | {"content-security-policy": content_security_policy(addresses)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("strict-transport-security", STRICT_TRANSPORT)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("cache-control", "private, no-cache")
                    headers.add_vary_header("Cookie")
                    headers.add_vary_header("Accept-Language")
            await send(message)

        await self._app(scope, receive, with_headers)


class SameOrigin:
    """Refuses writes that a page of another site makes a browser send: it would add our cookie to them.

    Sec-Fetch-Site decides when present (every browser since 2023); else Origin must match Host. Requests with neither
    do not come from a browser. A Bearer token is never added by a browser by itself, so it needs no check; nor is the
    ticket of an upload, which counts instead of the cookie.
    """

    def __init__(self, app: ASGIApp, public_url: str | None, refuse: Refuse) -> None:
        self._app = app
        self._own = urlsplit(public_url).netloc if public_url else None
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.allowed(scope):
            problem = Problem(
                403,
                "cross-site",
                "From another site",
                "This request was sent by a page of another site.",
                remedy="Open the page here and try again.",
            )
            response = await self._refuse(Request(scope, receive), problem)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def allowed(self, scope: Scope) -> bool:
        if scope["method"] in SAFE_METHODS:
            return True
        headers = Headers(scope=scope)
        if headers.get("authorization", "").lower().startswith("bearer "):
            return True
        if scope["path"].startswith(UPLOADS) and b"ticket=" in scope["query_string"]:
            return True
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site in ("same-origin", "none")
        return origin is None or urlsplit(origin).netloc in (headers.get("host"), self._own)
