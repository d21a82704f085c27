"""Children of the engine under test, with room for hostile code to import."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from ingest.confinement.children import Children
from ingest.domain import Catalogue
from ingest.engine import read_catalogue
from ingest.settings import IngestSettings
from ingest.work import WorkFolder


@pytest.fixture
def work(tmp_path: Path) -> Iterator[WorkFolder]:
    with WorkFolder.opened(tmp_path / "work") as folder:
        yield folder


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder that children import from."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a service's children share, over its life: filling it takes seconds."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture
def progress_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a reading takes: what is told of its progress is beside what is tested."""
    monkeypatch.setattr("ingest.handlers._TELL_SECONDS", 3600)


@pytest.fixture
async def children(caches: Path, hostile: Path) -> AsyncIterator[Children]:
    started = Children(caches, python_path=(hostile,))
    yield started
    await started.close()


@pytest.fixture(scope="session")
def catalogue(caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """dpdata's formats, asked once."""
    settings = IngestSettings(blobs_url="file:///unused")
    return asyncio.run(read_catalogue(Children(caches), settings, tmp_path_factory.mktemp("catalogue")))
