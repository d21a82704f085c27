"""Archives that are shared only: what must not be passed on is left out; what cannot be opened is nobody else's."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import zstandard
from contracts.base import DatasetRef
from contracts.events import DatasetLookedInto, DatasetRejected, DatasetShared
from contracts.keys import upload_archive
from ingest.confinement.children import Children, Ending, Feeding, Job
from ingest.domain import IngestBroken
from ingest.handlers import SharedHandlers
from ingest.looking import Looking
from ingest.settings import IngestSettings
from ingest.work import WorkFolder
from kit.blobs import BlobMissing, Blobs
from kit.bus import Poison
from kit.db import Database
from kit.migrations import migrate
from known_frames import delivery, outbox, uploaded

SETTINGS = IngestSettings(blobs_url="file:///unused", max_archive_bytes=1_000_000, max_members=20)
POTCAR = b"  PAW_PBE Si 05Jan2001\n   4.00000000000000\n parameters from PSCTR are:\n   VRHFIN =Si: s2p2\n"


@pytest.fixture
async def database(service_env: Callable[[str], dict[str, str]]) -> AsyncIterator[Database]:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "ingest")
    async with Database.opened(dsn, "test", 4) as opened:
        yield opened


@pytest.fixture
def looking(children: Children, work: WorkFolder, tmp_path: Path) -> Looking:
    return Looking(SETTINGS, children, Blobs((tmp_path / "blobs").as_uri()), work.job)


async def shared(looking: Looking, archive: bytes, filename: str = "run.zip") -> DatasetShared:
    upload_id = uuid4()
    stored = await looking.blobs.put_bytes(upload_archive(upload_id), archive)
    return DatasetShared(dataset=DatasetRef(dataset_id=upload_id, version=1), archive=stored, filename=filename)


def zipped(members: dict[str, bytes]) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return output.getvalue()


async def test_only_what_may_not_be_passed_on_is_left_out(looking: Looking) -> None:
    members = {
        "a/OUTCAR": b"energies",
        "a/POTCAR": b"x",
        "b/pseudo.txt": POTCAR,
        "b/POTCAR.gz": gzip.compress(POTCAR),
        "notes.md": b"# by me",
        "later.7z": b"7z\xbc\xaf\x27\x1c",
    }
    event = await shared(looking, zipped(members))
    told = await looking.look(event)
    assert isinstance(told, DatasetLookedInto)
    assert told.removed == ("a/POTCAR", "b/POTCAR", "b/pseudo.txt", "later.7z")
    assert told.download is not None
    with zstandard.ZstdDecompressor().stream_reader(await looking.blobs.get_bytes(told.download.key)) as stream:
        raw = stream.read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        kept = {one.name: archive.extractfile(one) for one in archive if one.isfile()}
        assert {name: file.read() for name, file in kept.items() if file} == {
            "a/OUTCAR": b"energies",
            "notes.md": b"# by me",
        }
    assert await looking.look(event) == told


@pytest.mark.parametrize("content", [zipped({"a/OUTCAR": b"energies"}), b"just a text", zipped({"data.csv": b"1,2"})])
async def test_what_may_be_passed_on_is_offered_as_it_is(looking: Looking, content: bytes) -> None:
    event = await shared(looking, content)
    assert await looking.look(event) == DatasetLookedInto(dataset=event.dataset)


@pytest.mark.parametrize(
    ("content", "rule", "reason"),
    [
        (zipped({"OUTCAR": b"x" * 100})[:-30], "archive-unreadable", "run.zip cannot be unpacked: "),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "archive-unsupported", "run.zip is a 7z archive, which is not supported"),
        (zipped({"../up": b"x"}), "archive-climbs", "the path of ../up leads out of the archive"),
        (zipped({f"{n}": b"x" for n in range(30)}), "archive-too-many-members", "more than 20 members"),
        (zipped({"POTCAR": POTCAR}), "nothing-to-share", "run.zip holds nothing that may be passed on"),
        (zipped({}), "nothing-to-share", "run.zip holds nothing that may be passed on"),
        (bytes(1_000_001), "archive-too-large", "run.zip has 0.00 GB"),
    ],
)
async def test_what_cannot_be_opened_is_told_in_words(
    looking: Looking, tmp_path: Path, content: bytes, rule: str, reason: str
) -> None:
    event = await shared(looking, content)
    refused = await looking.look(event)
    assert isinstance(refused, DatasetRejected)
    assert (refused.dataset, refused.rule) == (event.dataset, rule)
    assert refused.reason.startswith(reason)
    assert refused.remedy
    assert not (tmp_path / "blobs/shared").exists()


class Ended(Children):
    """A child that ended as told, without an answer."""

    ending = Ending(None, None, "")

    async def run(self, job: Job, feeding: Feeding | None = None) -> Ending:
        return self.ending


async def test_a_child_that_is_ended_is_the_archive_s_fault_and_broken_walls_are_ours(
    looking: Looking, tmp_path: Path
) -> None:
    ended = Ended(tmp_path)
    broken = replace(looking, children=ended)
    event = await shared(looking, zipped({"OUTCAR": b"x"}))
    ended.ending = Ending("took longer than 40 s", "timed-out", "")
    refused = await broken.look(event)
    assert isinstance(refused, DatasetRejected)
    assert refused.reason == "run.zip cannot be unpacked: took longer than 40 s"
    ended.ending = Ending("ended with code 1", "crashed", "ingest.confinement.kernel.ConfinementFailed: no landlock")
    with pytest.raises(IngestBroken):
        await broken.look(event)
    await looking.blobs.delete(event.archive.key)
    with pytest.raises(BlobMissing):
        await looking.look(event)


async def test_it_is_told_once_and_another_event_is_poison(database: Database, looking: Looking) -> None:
    event = await shared(looking, zipped({"OUTCAR": b"x"}))
    handlers = SharedHandlers(database, looking)
    twice = delivery(event, "ingest-dataset-shared")
    await handlers.on_dataset_shared(event, twice)
    await handlers.on_dataset_shared(event, twice)
    assert await outbox(database) == [DatasetLookedInto.nats_subject]
    other = uploaded("x")
    with pytest.raises(Poison):
        await handlers.on_dataset_shared(other, delivery(other))
