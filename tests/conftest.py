"""Fixtures with real servers: one PostgreSQL and one nats-server a session, fresh contents for every test."""

import asyncio
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest
from distribution import LongestFirst, place
from dpa.environment import environment as of_a_predicting_process
from httpx._transports import default as transports
from hypothesis import settings
from kit.migrations import migrate
from onemachine.nats import ADMIN, NatsServer, services
from onemachine.postgres import Postgres
from onemachine.process import running
from onemachine.provision import SCHEMAS, administration, forget_nats, provision_database, provision_nats
from ports import free_port
from psycopg import sql

SERVER_FIXTURES = frozenset({"server_folder", "postgres_server", "nats_server", "database_name", "service_env"})
TESTS = Path(__file__).parent
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 << 30
# How long one example takes says what else the machine does.
settings.register_profile("potluck", deadline=None)
settings.load_profile("potluck")
# httpx reads whom the system trusts anew for every client: 40 ms of a core, also of one that asks `http://` once.
transports.create_ssl_context = cache(transports.create_ssl_context)  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LongestFirst | None:
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Unit tests run without any server: asking for one is an error, not a slow test."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item.nodeid))
    for item in items:
        if item.path.is_relative_to(TESTS / "unit"):
            wanted = SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ()))
            if wanted:
                raise pytest.UsageError(
                    f"{item.nodeid} asks for {', '.join(sorted(wanted))}: a test that needs a server belongs in"
                    " tests/integration"
                )


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that every user may enter: as root, PostgreSQL runs as another user."""
    with tempfile.TemporaryDirectory(prefix="potluck-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def memory_folder(server_folder: Path) -> Iterator[Path]:
    """As `server_folder`, in memory where there is room: writing to disk what every test makes anew takes minutes."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        yield server_folder
        return
    with tempfile.TemporaryDirectory(prefix="potluck-tests-", dir=MEMORY) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def postgres_server(memory_folder: Path) -> Iterator[Postgres]:
    # Without the first two only a power failure loses data; the SIGKILLs of tests, which services get, do not. The
    # third: what these passwords protect is not worth thousands of hashes a connection.
    settings = {"fsync": "off", "full_page_writes": "off", "scram_iterations": "1"}
    server = Postgres(memory_folder / "postgres", "superuser-of-the-tests", settings)
    server.prepare()
    with running(server.command(), server.answers, memory_folder / "postgres.log"):
        yield server


def nats_password(user: str) -> str:
    return f"nats-password-of-{user}"


@pytest.fixture(scope="session")
def nats_server(memory_folder: Path) -> Iterator[NatsServer]:
    server = NatsServer(
        memory_folder / "nats", nats_password, port=free_port(), monitor_port=free_port(), leaf_port=free_port()
    )
    server.prepare()
    with running(server.command(), server.answers, memory_folder / "nats.log"):
        yield server


@dataclass(frozen=True)
class FreshDatabase:
    """A database without contents, with a role and a schema for each service."""

    server: Postgres
    name: str

    def dsn(self, role: str) -> str:
        return self.server.dsn(role, f"database-password-of-{role}", self.name)

    def provision(self, *roles: str) -> None:
        passwords = {role: f"database-password-of-{role}" for role in roles}
        provision_database(self.server.dsn(), passwords, self.name)


@pytest.fixture(scope="session")
def migrated_database(postgres_server: Postgres) -> FreshDatabase:
    """What every service makes of its schema at its first start. Nobody is connected to it: it can be copied."""
    database = FreshDatabase(postgres_server, "migrated")
    database.provision(*SCHEMAS)
    for service in SCHEMAS:
        migrate(database.dsn(service), service)
    return database


@pytest.fixture
def database_template(migrated_database: FreshDatabase) -> str:
    """What `fresh_database` is a copy of. A test of migrations asks for PostgreSQL's own: tables are made by it."""
    return migrated_database.name


@pytest.fixture
def fresh_database(postgres_server: Postgres, database_template: str) -> Iterator[FreshDatabase]:
    database = FreshDatabase(postgres_server, f"test_{uuid4().hex}")
    copied = "create database {} template {} strategy file_copy"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL(copied).format(*map(sql.Identifier, (database.name, database_template))))
    database.provision(*SCHEMAS)
    yield database
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database.name)))


@pytest.fixture
def fresh_streams(nats_server: NatsServer) -> NatsServer:
    """The server with empty streams and new consumers."""

    async def renew() -> None:
        async with administration(nats_server.url, ADMIN, nats_password(ADMIN)) as jetstream:
            await forget_nats(jetstream)
            await provision_nats(jetstream)

    asyncio.run(renew())
    return nats_server


@pytest.fixture
def service_env(
    fresh_database: FreshDatabase, fresh_streams: NatsServer, tmp_path: Path
) -> Callable[[str], dict[str, str]]:
    """`service_env("ingest")`: the POTLUCK_INGEST_* environment of that service.

    Services of one test share a fresh database (each has its own schema), fresh streams and a fresh blobs folder.
    A name that is no service of ours gets a schema, but no user on NATS.
    """
    blobs = tmp_path / "blobs"
    blobs.mkdir()

    def environment(name: str) -> dict[str, str]:
        values = {"blobs_url": blobs.as_uri()}
        if name != "trainer":
            if name not in SCHEMAS:
                fresh_database.provision(name)
            values["database_dsn"] = fresh_database.dsn(name)
        if name in services():
            values |= {"nats_url": fresh_streams.url, "nats_user": name, "nats_password": nats_password(name)}
        return {f"POTLUCK_{name.upper()}_{key.upper()}": value for key, value in values.items()}

    return environment


@pytest.fixture(scope="session")
def warm_server() -> BaseContext:
    """Prediction processes as branches of one that has imported deepmd: it takes longer than most of what is tested."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["metric.child", "dpa.predictor"])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in of_a_predicting_process().items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    return context


@pytest.fixture(scope="module")
def warm_processes(warm_server: BaseContext) -> Iterator[None]:
    """Predictions that a test's own process asks for come from `warm_server`."""
    with pytest.MonkeyPatch.context() as patch:
        context = SimpleNamespace(get_context=lambda _method: warm_server)
        patch.setattr("metric.prediction.multiprocessing", context)
        yield
