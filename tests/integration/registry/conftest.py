"""The registry's bench on a fresh database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from registry_bench import Bench, FreshDatabase, opened
from registry_examples import policy


@pytest.fixture
def blobs_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "blobs"
    folder.mkdir()
    return folder


@pytest_asyncio.fixture
async def bench(fresh_database: FreshDatabase, blobs_folder: Path) -> AsyncIterator[Bench]:
    async with opened(fresh_database.dsn("registry"), blobs_folder, policy()) as one:
        yield one
