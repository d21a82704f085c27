"""A gateway to test: served by granian in this process for most tests, as a process of its own to be killed."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import patience
import pytest
from contracts.artifacts import FormatCatalog, FormatInfo
from contracts.envelope import Attributes, Event, to_headers
from contracts.keys import FORMAT_CATALOG
from contracts.topology import EVENT_STREAM
from gateway import pages
from gateway.app import build
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from kit.service import Foundation, running
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

PASSWORD = "a sentence is easy to remember"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
CATALOG = FormatCatalog(
    dpdata_version="1.1.0",
    formats=(
        FormatInfo(name="vasp/outcar", title="VASP OUTCAR", reads="file", names=("OUTCAR*",), aliases=("outcar",)),
        FormatInfo(name="deepmd/npy", title="DeePMD npy", reads="folder", names=("type.raw",)),
    ),
)

# A process with the API alone: what it is killed for does not depend on pages.
SERVE = """
from functools import partial
from gateway.app import build
from gateway.settings import GatewaySettings
from kit.service import run
run("gateway", GatewaySettings(), partial(build, page_routes=(), problem_page=None))
"""


async def plain_problem_page(_request: Request, problem: Problem) -> Response:
    return PlainTextResponse(problem.detail, problem.status)


@dataclass
class Site:
    """A running gateway, and a client for it."""

    url: str
    base: Foundation[GatewaySettings]
    http: httpx.AsyncClient

    async def join(self, name: str) -> "Member":
        """Somebody new, with an API token."""
        email = f"{name}@example.org"
        made = await self.http.post("/api/v1/accounts", json={"email": email, "name": name, "password": PASSWORD})
        assert made.status_code == 201, made.text
        token = await self.http.post("/api/v1/tokens", json={"email": email, "password": PASSWORD, "name": "test"})
        assert token.status_code == 201, token.text
        return Member(self, email, {"Authorization": f"Bearer {token.json()['token']}"})


@dataclass
class Member:
    """A contributor."""

    site: Site
    email: str
    headers: dict[str, str]

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        return await self.site.http.request(method, path, headers=headers, **options)

    async def begin(self, size: int, **headers: str) -> str:
        made = await self.request("POST", "/api/v1/uploads", headers={**TUS, "Upload-Length": str(size), **headers})
        assert made.status_code == 201, made.text
        return made.headers["location"]

    async def upload(self, data: bytes) -> UUID:
        location = await self.begin(len(data), **{"Upload-Metadata": "filename ZGF0YS56aXA="})
        sent = await self.request("PATCH", location, headers={**PIECE, "Upload-Offset": "0"}, content=data)
        assert sent.status_code == 204, sent.text
        return UUID(location.rsplit("/", 1)[1])

    async def publish(self, data: bytes = b"an archive", **fields: Any) -> dict[str, Any]:
        upload_id = await self.upload(data)
        made = await self.request("POST", "/api/v1/datasets", json=entry(upload_id) | fields)
        assert made.status_code == 201, made.text
        return dict(made.json())


def entry(upload_id: object) -> dict[str, Any]:
    """Fields of an entry that can be published."""
    return {
        "upload_id": str(upload_id),
        "name": "SiC, 300 to 2000 K",
        "authors": ["Demo Contributor"],
        "format": "detect",
        "licence": "CC-BY-4.0",
        "private": False,
        "description": "Cubic **SiC**.",
        "level_of_theory": {"functional": "PBE", "cutoff_ev": 500.0},
        "agreement": True,
    }


@contextlib.asynccontextmanager
async def serving_site(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, with_pages: bool = False
) -> AsyncIterator[Site]:
    """A gateway in this process. Several may run at once: replicas."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = GatewaySettings()

    def wired(settings: GatewaySettings, base: Foundation[GatewaySettings]) -> Any:
        if with_pages:
            return build(settings, base, pages.routes(), pages.problem_page)
        return build(settings, base, (), plain_problem_page)

    url = f"http://{settings.address}"
    async with running("gateway", settings, wired) as base:
        await base.blobs.put_model(FORMAT_CATALOG, CATALOG)
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield Site(url, base, http)


@dataclass
class Outside:
    """The other services: what they say, said here. It happens now, a millisecond apart, unless said otherwise."""

    jetstream: JetStreamContext
    clock: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def say(self, event: Event, *, at: datetime | None = None, identifier: UUID | None = None) -> UUID:
        self.clock = max(self.clock + timedelta(milliseconds=1), datetime.now(UTC))
        attributes = Attributes(
            id=identifier or uuid4(),
            type=event.ce_type(),
            source="potluck/test",
            subject=event.about(),
            time=at or self.clock,
        )
        headers = to_headers(attributes)
        # Sent again with the same ce-id, it must come through: the stream's own deduplication is not under test.
        headers["Nats-Msg-Id"] = str(uuid4())
        await self.jetstream.publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=headers)
        return attributes.id


async def eventually(probe: Callable[[], Any], seconds: float = patience.SECONDS) -> Any:
    """The first true answer of an async probe."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.05)


@dataclass
class ServedProcess:
    """`python -m gateway` without pages: may be killed and started again."""

    env: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.env['POTLUCK_GATEWAY_ADDRESS']}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-c", SERVE], env=os.environ | self.env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + patience.SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return
            assert self.child.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.child is not None
        self.child.kill()
        self.child.wait()

    def memory_bytes(self) -> int:
        """Resident set."""
        assert self.child is not None
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class StreamEvent:
    """One server-sent event."""

    event: str
    id: str
    data: Any


async def read_events(response: httpx.Response) -> AsyncIterator[StreamEvent]:
    event, identifier, data = "message", "", ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            identifier = value
        elif name == "data":
            data = value
        elif not line and data:
            yield StreamEvent(event, identifier, json.loads(data))
            event, identifier, data = "message", "", ""


async def heard(outside: Outside, kind: type[Event], count: int) -> list[Any]:
    """So many events of a kind, and no more."""
    subscription = await outside.jetstream.subscribe(
        kind.nats_subject, ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
    )
    found = [kind.model_validate_json((await subscription.next_msg(timeout=30)).data) for _ in range(count)]
    with pytest.raises(TimeoutError):
        await subscription.next_msg(timeout=0.3)
    return found
