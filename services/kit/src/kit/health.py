"""/health/live: the process answers. /health/ready: what it needs is there and it takes work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

Check = Callable[[], Awaitable[None]]


class Health:
    """Readiness of one service: `started` and every check."""

    def __init__(self) -> None:
        self.started = False
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """`check` raises when `name` is not available."""
        self._checks[name] = check

    async def problems(self) -> dict[str, str]:
        """Name → what is wrong; empty when ready."""
        found = {} if self.started else {"service": "starting or stopping"}
        for name, check in self._checks.items():
            try:
                await asyncio.wait_for(check(), timeout=3)
            except Exception as error:  # any failure of a check is an answer, not a crash
                found[name] = repr(error)
        return found

    def routes(self) -> list[BaseRoute]:
        async def live(_request: Request) -> JSONResponse:
            return JSONResponse({"status": "live"})

        async def ready(_request: Request) -> JSONResponse:
            problems = await self.problems()
            status = 503 if problems else 200
            return JSONResponse({"status": "waiting" if problems else "ready", "problems": problems}, status)

        return [Route("/health/live", live), Route("/health/ready", ready)]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's business."""
        yield


@asynccontextmanager
async def serving(health: Health, address: str) -> AsyncIterator[None]:
    """Answer the health routes on `host:port` while the block runs."""
    host, _, port = address.rpartition(":")
    config = uvicorn.Config(
        Starlette(routes=health.routes()),
        host=host,
        port=int(port),
        log_level="warning",
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task
