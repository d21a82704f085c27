"""The only wiring: settings and foundation in, a served application out."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from kit.bus import is_infrastructure
from kit.health import Health
from kit.logs import get_logger
from kit.service import Foundation
from kit.tasks import Tasks
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from gateway import api
from gateway.api.openapi import OpenApi
from gateway.http.answers import problem_response
from gateway.http.conditional import Conditional
from gateway.http.open_files import make_room
from gateway.http.security import BehindProxy, SameOrigin, SecurityHeaders
from gateway.live.projections import Projector
from gateway.pages.languages import language_of
from gateway.pages.sentences import told
from gateway.people.mail import PostOffice
from gateway.people.notices import Notices
from gateway.problems import Problem, no_such_page
from gateway.service import Gateway
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.uploads.tus import Tus
from gateway.webhooks.sender import Post, Sender

log = get_logger(__name__)

LANES = 2
# At a time of an upload: a piece for the threads that receive and keep it to hand on, so the larger the fewer.
READ_BYTES = 1 << 20
# Probes would drown the traces, and a live stream is a span of hours.
UNTRACED = "health,/events$"

ProblemPage = Callable[[Request, Problem], Awaitable[Response]]


class Under(BaseRoute):
    """Routes of one folder: a page's address is not compared with each of them."""

    def __init__(self, folder: str, routes: Sequence[BaseRoute]) -> None:
        self._folder = folder
        self._router = Router(routes)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        inside = scope["type"] == "http" and scope["path"].startswith(self._folder)
        return (Match.FULL if inside else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)


class AddressInUse(RuntimeError):
    """Somebody else listens where we should."""


def application(
    gateway: Gateway, health: Health, page_routes: Sequence[BaseRoute], problem_page: ProblemPage
) -> Starlette:
    """The ASGI application. `problem_page` renders a problem for browsers; programs get problem+json.

    Both in the language that is asked for: what a page's script is told is shown to its reader.
    """

    async def on_problem(request: Request, error: Exception) -> Response:
        problem = error if isinstance(error, Problem) else _as_problem(error)
        if problem.status >= 500 and problem is not error:
            log.error("request-failed", path=request.url.path, exc_info=error)
        wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
        if wants_page:
            return await problem_page(request, problem)
        return problem_response(told(problem, language_of(request)))

    async def on_disconnect(_request: Request, _error: Exception) -> Response:
        return Response(status_code=499)

    settings = gateway.settings
    served = [*api.routes(), *Tus(gateway.uploads, gateway.joining, gateway.repeats).routes()]
    described = OpenApi(served)
    folder = "/api/v1/"
    routes = [*health.routes(), *served, *described.routes()]
    inside = [route for route in routes if isinstance(route, Route) and route.path.startswith(folder)]
    beside = [route for route in routes if route not in inside]
    app = Starlette(
        routes=[*beside, Under(folder, inside), Mount("/", routes=list(page_routes))],
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_problem,
            ClientDisconnect: on_disconnect,
            Exception: on_problem,
        },
        middleware=[
            Middleware(OpenTelemetryMiddleware, excluded_urls=UNTRACED, exclude_spans=["send", "receive"]),
            Middleware(BehindProxy, believed=settings.behind_proxy, public_url=settings.public_url),
            Middleware(SecurityHeaders, addresses=gateway.regions.addresses),
            Middleware(SameOrigin, public_url=settings.public_url, refuse=on_problem),
            Middleware(Conditional),
        ],
    )
    app.state.gateway = gateway
    app.state.openapi = described
    return app


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, HTTPException):
        if error.status_code == 400:  # whatever the parser of forms did not like, in its own words
            return Problem(
                400,
                "form",
                "This form could not be read",
                "One of its fields is too large, or there are too many.",
                remedy="Go back, shorten what you typed, and send it again.",
            )
        if error.status_code == 404:
            return no_such_page()
        words = {405: "This address does not take that method."}
        detail = words.get(error.status_code, error.detail)
        return Problem(error.status_code, "http", error.detail, detail, headers=dict(error.headers or {}))
    if is_infrastructure(error):
        return Problem(
            503,
            "restarting",
            "Back in a moment",
            "Something that we stand on is restarting. Nothing that you sent before is lost.",
            remedy="Try again in a few seconds.",
            headers={"retry-after": "2"},
        )
    return Problem(
        500,
        "our-fault",
        "Something broke on our side",
        "Nothing that you sent before is lost.",
        remedy="Try again; if it happens again, tell us when it was.",
    )


@asynccontextmanager
async def build(
    settings: GatewaySettings,
    base: Foundation[GatewaySettings],
    page_routes: Sequence[BaseRoute],
    problem_page: ProblemPage,
) -> AsyncIterator[None]:
    """Consume events and answer HTTP while the block runs."""
    make_room(settings.max_watchers)
    store = Store()
    gateway = Gateway.built(settings, base.database, base.blobs, store, base.bus.jetstream.publish)
    projector = Projector(base.database, store, base.blobs, Notices(store, settings))
    base.bus.consume("gateway-events", projector.on_event, lanes=LANES)
    base.bus.consume_raw("gateway-dead-letters", projector.on_dead_letter)
    base.tasks.create_task(gateway.feed.run(), name="feed")
    base.tasks.create_task(_sweep(gateway), name="sweep")
    post = Post(settings.webhook_seconds, anywhere=settings.webhooks_anywhere)
    base.tasks.create_task(Sender(base.database, store, settings, post).run(), name="webhooks")
    if settings.sends_mail:
        base.tasks.create_task(PostOffice(base.database, store, settings).run(), name="mail")
    app = application(gateway, base.health, page_routes, problem_page)
    async with serving(app, settings, base.tasks) as address:
        log.info("listening", address=address)
        try:
            yield
        finally:
            gateway.feed.close()
            await gateway.joining.close()
            await gateway.steering.close()


@asynccontextmanager
async def serving(app: Starlette, settings: GatewaySettings, tasks: Tasks) -> AsyncIterator[str]:
    """Answer HTTP in this process and event loop. Raises AddressInUse.

    At the end open requests get `stop_seconds`: granian itself would wait for them without end.
    """
    host, port = settings.host_and_port
    port = _free(host, port)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        http1_settings=HTTP1Settings(max_buffer_size=READ_BYTES),
        websockets=False,
        log_enabled=False,
        backlog=2048,
    )
    task = tasks.create_task(server.serve(), name="http")
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        with suppress(TimeoutError):
            await asyncio.wait_for(task, settings.stop_seconds)


def _free(host: str, port: int) -> int:
    """The port, or a free one for 0. granian would share a port that another granian has: ask first."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or set"
                " POTLUCK_GATEWAY_ADDRESS to another one"
            ) from error
        return int(probe.getsockname()[1])


async def _sweep(gateway: Gateway) -> None:
    """Now and then remove what has expired. A failure waits for the next time."""
    while True:
        try:
            await gateway.uploads.expire()
            await gateway.accounts.sweep()
            await gateway.predictions.expire()
            await gateway.programs.sweep()
            await gateway.repeats.sweep()
        except Exception as error:  # whatever it was, uploads and sign-ins go on without it
            log.warning("sweep-failed", error=repr(error))
        await asyncio.sleep(gateway.settings.upload_sweep_seconds)
