"""The service on a real PostgreSQL and a real nats-server: uploads in, outcomes out, once, whatever dies."""

import asyncio
import io
import lzma
import os
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import zstandard
from contracts.artifacts import DatasetManifest, FormatCatalog
from contracts.base import Credit, DatasetRef
from contracts.envelope import Event
from contracts.events import (
    DatasetLookedInto,
    DatasetReading,
    DatasetRejected,
    DatasetShared,
    DatasetUploaded,
    DatasetValidated,
)
from contracts.keys import FORMAT_CATALOG, upload_archive
from frames import store
from frames.hashing import frame_hashes
from ingest.app import build
from ingest.settings import IngestSettings
from kit.blobs import Blobs
from kit.bus import Delivery, Raw
from kit.outbox import emit
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from many_frames import extxyz

ROOT = Path(__file__).parents[3]
SILICON = ROOT / "deploy/demo/si-more-qe-pbe.tar.xz"
# Frames of a reading that takes seconds on a quick machine, too: 16,000 were once read between two tellings.
LONG = 60_000


class GatewayLike(ServiceSettings):
    model_config = service_config("gateway")


@pytest.fixture
def environment(
    service_env: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, str]:
    values = service_env("ingest") | service_env("gateway")
    values |= {
        "POTLUCK_INGEST_WORK_FOLDER": str(tmp_path / "work"),
        "POTLUCK_INGEST_RETRY_DELAYS_SECONDS": "[0.2]",
    }
    for key, value in values.items():
        monkeypatch.setenv(key, value)
    return values


class Outcomes:
    """A gateway-like service: sends uploads, keeps what is said about them."""

    def __init__(self, base: Foundation[GatewayLike]) -> None:
        self.base = base
        self.heard: list[DatasetValidated | DatasetRejected] = []
        self.looked_into: list[DatasetLookedInto] = []
        self.progress: list[DatasetReading] = []
        self.dead: list[Raw] = []

    async def on_event(self, event: Event, _delivery: Delivery) -> None:
        if isinstance(event, DatasetValidated | DatasetRejected):
            self.heard.append(event)
        elif isinstance(event, DatasetLookedInto):
            self.looked_into.append(event)
        elif isinstance(event, DatasetReading):
            assert event.dataset not in [one.dataset for one in self.heard]
            self.progress.append(event)

    async def on_dead_letter(self, letter: Raw) -> None:
        self.dead.append(letter)

    async def upload(self, archive: Path, format_: str, lost: bool = False) -> DatasetUploaded:
        """Store the archive (unless it is to be lost) and tell of it."""
        upload_id = uuid4()
        stored = await self.base.blobs.put_file(upload_archive(upload_id), archive)
        if lost:
            await self.base.blobs.delete(stored.key)
        event = DatasetUploaded(
            dataset=DatasetRef(dataset_id=upload_id, version=1),
            owner_id=uuid4(),
            credit=Credit(title="Silicon", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
            archive=stored,
            filename=archive.name,
            format=format_,
        )
        await self.tell(event)
        return event

    async def share(self, archive: Path) -> DatasetShared:
        """Store the archive and tell that it is shared only."""
        upload_id = uuid4()
        stored = await self.base.blobs.put_file(upload_archive(upload_id), archive)
        dataset = DatasetRef(dataset_id=upload_id, version=1)
        event = DatasetShared(dataset=dataset, archive=stored, filename=archive.name)
        await self.tell(event)
        return event

    async def tell(self, event: Event) -> None:
        async with self.base.database.transaction() as connection:
            await emit(connection, event)

    async def hears(self, count: int, seconds: float = 240) -> list[DatasetValidated | DatasetRejected]:
        async with asyncio.timeout(seconds):
            while len(self.heard) < count:
                await asyncio.sleep(0.05)
        return self.heard


@asynccontextmanager
async def gateway() -> AsyncIterator[Outcomes]:
    made: list[Outcomes] = []

    @asynccontextmanager
    async def wired(_settings: GatewayLike, base: Foundation[GatewayLike]) -> AsyncIterator[None]:
        made.append(Outcomes(base))
        base.bus.consume("gateway-events", made[0].on_event)
        base.bus.consume_raw("gateway-dead-letters", made[0].on_dead_letter)
        yield

    async with running("gateway", GatewayLike(), wired):
        yield made[0]


@pytest.fixture
def nothing_to_find(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("no calculation here")
    return path


async def test_uploads_become_datasets_or_messages(
    environment: dict[str, str], tmp_path: Path, nothing_to_find: Path
) -> None:
    async with gateway() as outcomes, running("ingest", IngestSettings(), build) as ingest:
        catalogue = await ingest.blobs.get_model(FORMAT_CATALOG, FormatCatalog)
        assert {"qe/pw/scf", "extxyz", "cp2kdata/md", "vasp/outcar"} <= {one.name for one in catalogue.formats}
        uploaded = await outcomes.upload(SILICON, "qe/pw/scf")
        (validated,) = await outcomes.hears(1)
        assert isinstance(validated, DatasetValidated)
        assert (validated.dataset, validated.credit) == (uploaded.dataset, uploaded.credit)
        assert (validated.frames, validated.train_frames, validated.held_out_frames) == (24, 18, 6)
        await check_stored(ingest.blobs, validated, tmp_path)

        # The same fact again, as a new message: nothing happens twice.
        await outcomes.tell(uploaded)
        rejected_upload = await outcomes.upload(nothing_to_find, "detect")
        _, rejected = await outcomes.hears(2)
        assert isinstance(rejected, DatasetRejected)
        assert (rejected.dataset, rejected.rule) == (rejected_upload.dataset, "no-calculation")
        assert "notes.txt" in rejected.reason
        await outcomes.upload(SILICON, "detect")
        _, _, again = await outcomes.hears(3)
        assert isinstance(again, DatasetValidated)
        assert again.content_sha256 == validated.content_sha256
        assert [(one.dataset, one.frames) for one in again.overlaps] == [(uploaded.dataset, 24)]
        assert (again.standard_frames, again.held_out_frames, validated.overlaps) == (6, 6, ())
        assert again.detection is not None
        assert again.detection.format == "qe/pw/scf"
        manifest = await ingest.blobs.get_model(again.manifest.key, DatasetManifest)
        assert (manifest.element_pairs, [one.frames for one in manifest.labels]) == (("Si-Si",), [24, 24, 24])
        held_out = tmp_path / "again.lmdb/data.mdb"
        await ingest.blobs.get_file(manifest.held_out, held_out)
        assert all(frame.known for frame in store.read(held_out.parent))
        train = tmp_path / "train.lmdb/data.mdb"
        assert manifest.train is not None
        assert manifest.frame_hashes is not None
        await ingest.blobs.get_file(manifest.train, train)
        files = [*store.read(train.parent), *store.read(held_out.parent)]
        assert await ingest.blobs.get_bytes(manifest.frame_hashes.key) == b"".join(frame_hashes(files))
        assert len(outcomes.heard) == 3
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["caches"]


async def test_a_long_reading_tells_how_far_it_is(environment: dict[str, str], tmp_path: Path) -> None:
    long = tmp_path / "long.extxyz"
    extxyz(long, LONG)
    async with gateway() as outcomes, running("ingest", IngestSettings(), build):
        uploaded = await outcomes.upload(long, "detect")
        (validated,) = await outcomes.hears(1)
        assert isinstance(validated, DatasetValidated)
        assert validated.frames == LONG
        progress = [one for one in outcomes.progress if one.dataset == uploaded.dataset]
    assert progress
    assert {one.step for one in progress} <= {"unpacking", "finding", "parsing", "assembling"}
    assert [one.frames for one in progress] == sorted(one.frames for one in progress)
    parsing = [one for one in progress if one.step == "parsing"]
    assert parsing
    assert all((one.files, one.calculations) == (1, 1) and one.frames <= LONG for one in parsing)
    assert any(0 < one.frames < LONG for one in parsing), "nothing was told from within the file"


async def test_what_is_shared_lacks_the_potcars(environment: dict[str, str], tmp_path: Path) -> None:
    archive = with_potcar(tmp_path)
    async with gateway() as outcomes, running("ingest", IngestSettings(), build) as ingest:
        await outcomes.upload(archive, "qe/pw/scf")
        (told,) = await outcomes.hears(1)
        await outcomes.upload(SILICON, "qe/pw/scf")
        _, clean = await outcomes.hears(2)
        assert isinstance(told, DatasetValidated)
        assert isinstance(clean, DatasetValidated)
        assert told.removed == ("si-more-qe-pbe/vasp/POTCAR",)
        assert told.download is not None
        assert (clean.removed, clean.download) == ((), None)
        await ingest.blobs.get_file(told.download, tmp_path / "shared.tar.zst")
    lacks_the_potcar(tmp_path / "shared.tar.zst", archive)


async def test_what_is_shared_only_is_looked_into_and_not_read(
    environment: dict[str, str], tmp_path: Path, nothing_to_find: Path
) -> None:
    archive = with_potcar(tmp_path)
    async with gateway() as outcomes, running("ingest", IngestSettings(), build) as ingest:
        shared = [await outcomes.share(one) for one in (archive, SILICON, nothing_to_find)]
        await outcomes.tell(shared[0])
        async with asyncio.timeout(120):
            while len(outcomes.looked_into) < 4:
                await asyncio.sleep(0.05)
        told = {one.dataset: one for one in outcomes.looked_into}
        cleaned, *others = [told[one.dataset] for one in shared]
        assert cleaned.removed == ("si-more-qe-pbe/vasp/POTCAR",)
        assert cleaned.download is not None
        assert [(one.download, one.removed) for one in others] == [(None, ()), (None, ())]
        # Told again as a new message, the same answer with the same object comes again.
        assert [one for one in outcomes.looked_into if one.dataset == cleaned.dataset] == [cleaned, cleaned]
        await ingest.blobs.get_file(cleaned.download, tmp_path / "shared.tar.zst")
        async with ingest.database.transaction() as connection:
            cursor = await connection.execute("select * from datasets")
            assert await cursor.fetchall() == []
    assert (outcomes.heard, outcomes.progress, outcomes.dead) == ([], [], [])
    lacks_the_potcar(tmp_path / "shared.tar.zst", archive)


def with_potcar(folder: Path) -> Path:
    archive = folder / "with-potcar.tar"
    archive.write_bytes(lzma.decompress(SILICON.read_bytes()))
    with tarfile.open(archive, "a") as tar:
        info = tarfile.TarInfo("si-more-qe-pbe/vasp/POTCAR")
        info.size = 6
        tar.addfile(info, io.BytesIO(b"secret"))
    return archive


def lacks_the_potcar(cleaned: Path, archive: Path) -> None:
    with (
        zstandard.open(cleaned) as stream,
        tarfile.open(fileobj=stream, mode="r|") as shared,
        tarfile.open(archive) as original,
    ):
        names = {one.name for one in original if one.isfile()}
        assert {one.name for one in shared} == names - {"si-more-qe-pbe/vasp/POTCAR"}


async def check_stored(blobs: Blobs, validated: DatasetValidated, tmp_path: Path) -> None:
    manifest = await blobs.get_model(validated.manifest.key, DatasetManifest)
    assert (manifest.frames, manifest.format, manifest.dataset) == (24, "qe/pw/scf", validated.dataset)
    assert manifest.train is not None
    for ref, count in ((manifest.train, 18), (manifest.held_out, 6), (validated.manifest, None)):
        assert ref.key.startswith(f"datasets/{validated.content_sha256}/")
        target = tmp_path / f"fetched-{ref.sha256[:8]}.lmdb/data.mdb"
        await blobs.get_file(ref, target)
        if count is not None:
            assert len(store.read(target.parent)) == count
            assert target.stat().st_uid == os.getuid()


async def test_an_archive_that_is_gone_is_no_outcome(environment: dict[str, str]) -> None:
    """Our own trouble is tried again and becomes a dead letter, never a rejection."""
    async with gateway() as outcomes, running("ingest", IngestSettings(max_attempts=2), build):
        lost = await outcomes.upload(SILICON, "detect", lost=True)
        await outcomes.upload(SILICON, "detect")
        (heard,) = await outcomes.hears(1)
        assert heard.dataset != lost.dataset
        async with asyncio.timeout(120):
            while not outcomes.dead:
                await asyncio.sleep(0.1)
        assert str(lost.dataset.dataset_id) in outcomes.dead[0].body.decode()
        assert len(outcomes.heard) == 1


async def test_sigkill_in_the_middle_loses_nothing_and_doubles_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The service is killed at moments spread over its work; each upload ends in one outcome all the same."""
    async with gateway() as outcomes:
        uploads = [await outcomes.upload(SILICON, "qe/pw/scf") for _ in range(3)]
        for wait in (0.1, 0.5, 1.0):
            async with _service(environment):
                await _until_reading(tmp_path / "work")
                await asyncio.sleep(wait)
        async with _service(environment) as process:
            heard = await outcomes.hears(3)
            await asyncio.sleep(1)
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)
        assert sorted(str(one.dataset) for one in heard) == sorted(str(one.dataset) for one in uploads)
        assert all(isinstance(one, DatasetValidated) and one.frames == 24 for one in heard)
        assert len({one.manifest.sha256 for one in heard if isinstance(one, DatasetValidated)}) == 3
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["caches"]


@asynccontextmanager
async def _service(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service in a process of its own; SIGKILL when the block is left, unless it has ended."""
    own = {key: value for key, value in environment.items() if key.startswith("POTLUCK_INGEST_")}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ingest", env={"PATH": "/usr/bin:/bin", **own})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_reading(work: Path) -> None:
    """Until a live process has an archive in hand."""
    async with asyncio.timeout(120):
        known = set(work.glob("process-*/dataset-*"))
        while not set(work.glob("process-*/dataset-*")) - known:
            await asyncio.sleep(0.02)
