"""Servers as an installation has them: those of the tests do not wait for the disk, these do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from onemachine.postgres import Postgres
from onemachine.process import running


@pytest.fixture(scope="session")
def memory_folder(server_folder: Path) -> Path:
    return server_folder


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[Postgres]:
    server = Postgres(server_folder / "postgres", "superuser-of-the-benchmarks")
    server.prepare()
    with running(server.command(), server.answers, server_folder / "postgres.log"):
        yield server
