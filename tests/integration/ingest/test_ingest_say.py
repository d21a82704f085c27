"""Who has a say over the frames of others: sound datasets, also those that were read before frames were kept."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from contracts.artifacts import DatasetManifest, Histogram
from contracts.base import BlobRef, Credit, DatasetRef, LevelOfTheory, RuleResult
from contracts.envelope import Attributes, Event
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetUploaded,
    DatasetValidated,
)
from frames import store as lmdb
from frames.frame import Frame
from frames.hashing import HashArray, frame_hashes, hash_array
from ingest.confinement.children import Children
from ingest.handlers import KnownFramesHandlers
from ingest.remembering import Remembering
from ingest.selecting import Elsewhere, Selection, select
from ingest.settings import IngestSettings
from ingest.store import Store
from ingest.work import WorkFolder
from kit.blobs import Blobs
from kit.bus import Delivery, Poison
from kit.db import Database
from kit.migrations import migrate

STORE = Store()
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
BLOB = BlobRef(key="x", sha256="a" * 64, size=1)


@pytest.fixture
async def database(service_env: Callable[[str], dict[str, str]]) -> AsyncIterator[Database]:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "ingest")
    async with Database.opened(dsn, "test", 4) as opened:
        yield opened


@pytest.fixture
def remembering(children: Children, work: WorkFolder, tmp_path: Path) -> Remembering:
    return Remembering(
        IngestSettings(blobs_url="file:///unused"), children, Blobs((tmp_path / "blobs").as_uri()), work.job
    )


def uploaded(title: str, owner: UUID | None = None, private: bool = False) -> DatasetUploaded:
    return DatasetUploaded(
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        owner_id=owner or uuid4(),
        credit=Credit(title=title, authors=(), licence="CC-BY-4.0", private=private),
        archive=BLOB,
        filename="x.tar",
        format="detect",
    )


def verdict(dataset: DatasetRef, sound: bool) -> DatasetMetricPassed | DatasetMetricNotPassed:
    told: dict[str, Any] = {
        "dataset": dataset,
        "run_id": uuid4(),
        "credit": Credit(title="x", authors=(), licence="CC0-1.0", private=False),
        "dataset_manifest": BLOB,
        "model_version": None,
        "report": BLOB,
        "coverage": 0.0,
        "nearest_branch": None,
        "sound": RuleResult(rule="sound", passed=sound, sentence="."),
        "new": RuleResult(rule="new", passed=True, sentence="."),
        "failed_frames": 0,
    }
    return DatasetMetricPassed(**told) if sound else DatasetMetricNotPassed(**told, outcome="not-sound")


def delivery(event: Event, durable: str, when: datetime = NOON, event_id: UUID | None = None) -> Delivery:
    attributes = Attributes(
        id=event_id or uuid4(), type=event.ce_type(), source="potluck/x", subject=event.about(), time=when
    )
    return Delivery(durable, attributes, 1)


def hashes(count: int, seed: int) -> HashArray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


async def settle(database: Database, event: DatasetUploaded, read: HashArray, manifest: BlobRef = BLOB) -> Selection:
    """As a service does: begin, ask, decide, settle, keep."""
    async with database.transaction() as connection:
        await STORE.begin(connection, event.dataset)

    async def ask(found: HashArray) -> Elsewhere:
        async with database.transaction() as connection:
            return await STORE.elsewhere(connection, event, found)

    selection = await select(read, ask)
    async with database.transaction() as connection:
        assert await STORE.settle(connection, _validated(event, selection, manifest))
        await STORE.keep_frames(connection, event, selection)
    return selection


def _validated(event: DatasetUploaded, selection: Selection, manifest: BlobRef) -> DatasetValidated:
    return DatasetValidated(
        dataset=event.dataset, credit=event.credit, manifest=manifest, content_sha256=selection.content_sha256,
        format="extxyz", frames=selection.frames, train_frames=selection.train_frames,
        held_out_frames=selection.held_out_frames, duplicate_frames=0, elements=("Si",), has_virial=False,
        level_of_theory=LevelOfTheory(), set_aside_count=0, set_aside=(),
    )  # fmt: skip


async def asked(database: Database, read: HashArray) -> Elsewhere:
    async with database.transaction() as connection:
        return await STORE.elsewhere(connection, uploaded("newcomer"), read)


async def test_a_dataset_that_is_not_sound_has_no_say_until_it_is_sound_again(
    database: Database, remembering: Remembering
) -> None:
    handlers = KnownFramesHandlers(database, STORE, remembering)
    event = uploaded("turned forces")
    kept = await settle(database, event, hashes(60, 1))
    before = await asked(database, hashes(60, 1))
    np.testing.assert_array_equal(before.held_out, kept.held_out)
    assert [one.title for one in before.overlaps] == ["turned forces"]

    wrong = verdict(event.dataset, sound=False)
    twice = delivery(wrong, "ingest-metric-not-passed")
    for _ in range(2):
        await handlers.on_verdict(wrong, twice)
    without = await asked(database, hashes(60, 1))
    assert not (without.held_out | without.trained | without.known).any()
    assert (without.overlaps, without.standard_frames, without.shared) == ((), 0, ())
    async with database.transaction() as connection:
        nothing = np.zeros(60, dtype=np.bool_)
        late = Selection(hashes(60, 1), nothing, b"", Elsewhere(nothing, nothing, nothing))
        assert await STORE.joined_since(connection, late) == []

    # An older word that comes late changes nothing; a newer one does.
    right = verdict(event.dataset, sound=True)
    await handlers.on_verdict(right, delivery(right, "ingest-metric-passed", NOON - timedelta(hours=1)))
    assert (await asked(database, hashes(60, 1))).overlaps == ()
    await handlers.on_verdict(right, delivery(right, "ingest-metric-passed", NOON + timedelta(hours=1)))
    after = await asked(database, hashes(60, 1))
    np.testing.assert_array_equal(after.held_out, kept.held_out)
    assert after.overlaps == before.overlaps
    with pytest.raises(Poison):
        await handlers.on_verdict(event, delivery(event, "ingest-metric-passed"))


async def test_a_dataset_that_is_covered_keeps_its_say(database: Database, remembering: Remembering) -> None:
    event = uploaded("covered")
    await settle(database, event, hashes(40, 2))
    covered = verdict(event.dataset, sound=True)
    told = DatasetMetricNotPassed(**(covered.model_dump() | {"outcome": "covered"}))
    await KnownFramesHandlers(database, STORE, remembering).on_verdict(told, delivery(told, "ingest-metric-not-passed"))
    assert (await asked(database, hashes(40, 2))).known.all()


def frame(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame(np.array([14, 14]), rng.normal(0, 2, (2, 3)), 6 * np.eye(3), -10.0, rng.normal(0, 1, (2, 3)))


async def stored(blobs: Blobs, folder: Path, event: DatasetUploaded, held_out: int) -> tuple[BlobRef, HashArray]:
    """A dataset of 700 frames as ingest writes it; returns its manifest and the hashes in the order of its files."""
    frames = [frame(seed) for seed in range(700)]
    refs = []
    for name, part in (("train", frames[held_out:]), ("held-out", frames[:held_out])):
        lmdb.write(folder / f"{name}.lmdb", part)
        refs.append(await blobs.put_file(f"datasets/x/{name}.mdb", folder / f"{name}.lmdb" / lmdb.DATA_FILE))
    manifest = DatasetManifest(
        dataset=event.dataset, content_sha256="0" * 64, train=refs[0], held_out=refs[1], frames=700,
        train_frames=700 - held_out, held_out_frames=held_out, duplicate_frames=0, atoms=1400, elements=("Si",),
        compositions=(), has_virial=False, level_of_theory=LevelOfTheory(), format="extxyz", set_aside=(),
        energy_per_atom_ev=Histogram(edges=(0, 1), counts=(0,)),
        force_component_ev_per_angstrom=Histogram(edges=(0, 1), counts=(0,)), preview=(), versions={},
    )  # fmt: skip
    ref = await blobs.put_bytes("datasets/x/manifest.json", manifest.model_dump_json().encode())
    return ref, hash_array(frame_hashes([*frames[held_out:], *frames[:held_out]]))


async def validated_before(database: Database, event: DatasetUploaded, manifest: BlobRef) -> None:
    """As it was before known frames were kept: an outcome, and nothing of its frames."""
    async with database.transaction() as connection:
        await STORE.begin(connection, event.dataset)
        nothing = np.zeros(700, dtype=np.bool_)
        selection = Selection(hashes(700, 3), nothing, b"", Elsewhere(nothing, nothing, nothing))
        assert await STORE.settle(connection, _validated(event, selection, manifest))


async def test_frames_of_a_dataset_from_before_are_known_after_all_and_once(
    database: Database, remembering: Remembering, tmp_path: Path
) -> None:
    handlers = KnownFramesHandlers(database, STORE, remembering)
    event = uploaded("from before")
    manifest, expected = await stored(remembering.blobs, tmp_path, event, held_out=70)
    await validated_before(database, event, manifest)
    for _ in range(3):
        await handlers.on_uploaded_before(event, delivery(event, "ingest-known-frames"))
    said = await asked(database, expected)
    assert said.known.all()
    np.testing.assert_array_equal(said.held_out, np.arange(700) >= 630)
    np.testing.assert_array_equal(said.trained, np.arange(700) < 630)
    assert [(one.title, one.frames) for one in said.overlaps] == [("from before", 700)]
    async with database.transaction() as connection:
        cursor = await connection.execute("select count(*) as frames from known_frames")
        row = await cursor.fetchone()
    assert row is not None
    assert row["frames"] == 700


async def test_there_is_nothing_to_catch_up_on_of_other_datasets(database: Database, remembering: Remembering) -> None:
    handlers = KnownFramesHandlers(database, STORE, remembering)
    known, being_read, gone = uploaded("known"), uploaded("being read"), uploaded("gone")
    await settle(database, known, hashes(30, 4))
    async with database.transaction() as connection:
        await STORE.begin(connection, being_read.dataset)
    await validated_before(database, gone, BLOB)
    for event in (known, being_read, gone, uploaded("never heard of")):
        await handlers.on_uploaded_before(event, delivery(event, "ingest-known-frames"))
    async with database.transaction() as connection:
        cursor = await connection.execute("select title from known_datasets")
        assert [row["title"] for row in await cursor.fetchall()] == ["known"]
