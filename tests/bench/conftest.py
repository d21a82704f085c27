"""Servers as an installation has them: the tests' PostgreSQL does not wait for the disk, this one does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from onemachine.postgres import Postgres
from onemachine.process import running


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[Postgres]:
    server = Postgres(server_folder / "postgres", "superuser-of-the-benchmarks")
    server.prepare()
    with running(server.command(), server.answers, server_folder / "postgres.log"):
        yield server
