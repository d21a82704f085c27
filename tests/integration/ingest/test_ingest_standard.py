"""No frame of the standard dataset is in a training split, whether or not a known dataset holds it out.

Nothing here joins `known_frames` unless a test says so: the other reason to hold a frame out is switched off.
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.base import BlobRef, DatasetRef
from contracts.envelope import Attributes
from contracts.events import StandardReleased
from contracts.standard import StandardBranch, StandardDataset
from frames.hashing import HashArray
from ingest.handlers import Handlers, StandardHandlers
from ingest.selecting import Elsewhere, Selection, select
from kit.blobs import Blobs
from kit.bus import Delivery
from kit.db import Database
from kit.migrations import migrate
from known_frames import STORE, Overtaken, delivery, hashes, join, outbox, uploaded

pytestmark = pytest.mark.usefixtures("progress_untold")


@pytest.fixture
async def database(service_env: Callable[[str], dict[str, str]]) -> AsyncIterator[Database]:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "ingest")
    async with Database.opened(dsn, "test", 4) as opened:
        yield opened


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


async def take(database: Database, number: int, frames: HashArray) -> bool:
    async with database.transaction() as connection:
        return await STORE.take_standard(connection, number, frames)


async def selected(database: Database, read: HashArray) -> Selection:
    async def ask(unique: HashArray) -> Elsewhere:
        async with database.transaction() as connection:
            return await STORE.elsewhere(connection, uploaded("new"), unique)

    return await select(read, ask)


async def test_standard_frames_are_held_out_and_nobody_is_told(database: Database) -> None:
    read = hashes(100, 1)
    assert await take(database, 1, np.concatenate([hashes(50, 2), read[60:90]]))
    selection = await selected(database, read)
    assert selection.held_out[60:90].all()
    assert (selection.held_out_frames, selection.elsewhere.standard) == (30, 1)
    assert (selection.elsewhere.standard_frames, selection.elsewhere.overlaps) == (0, ())


async def test_more_frames_than_are_asked_for_at_once_keep_their_places(database: Database) -> None:
    read = hashes(12_000, 3)
    await take(database, 1, read[10_500:10_600])
    said = (await selected(database, read)).elsewhere
    np.testing.assert_array_equal(np.flatnonzero(said.held_out), np.arange(10_500, 10_600))


async def test_the_newest_version_counts_whatever_the_order(database: Database) -> None:
    old, new = hashes(10, 4), hashes(10, 5)
    assert await take(database, 2, new)
    assert not await take(database, 1, old)
    assert not await take(database, 2, old)
    said = (await selected(database, np.concatenate([old, new]))).elsewhere
    np.testing.assert_array_equal(said.held_out, np.arange(20) >= 10)
    assert said.standard == 2


async def test_a_version_that_is_uploaded_again_does_not_train_on_them_either(database: Database) -> None:
    read = hashes(60, 6)
    entry = uuid4()
    first = await join(database, uploaded("v1", dataset=DatasetRef(dataset_id=entry, version=1)), read)
    await take(database, 1, first.hashes[first.held_out][:5])
    again = await join(database, uploaded("v2", dataset=DatasetRef(dataset_id=entry, version=2)), read[::-1])
    trained = {bytes(row) for row in again.hashes[~again.held_out]}
    assert not trained & {bytes(row) for row in first.hashes[first.held_out][:5]}


async def test_a_standard_dataset_that_comes_while_a_dataset_is_read_has_it_read_again(database: Database) -> None:
    frames = hashes(100, 7)

    async def meanwhile() -> None:
        await take(database, 1, frames[:3])

    reading = Overtaken(frames, meanwhile)
    event = uploaded("late")
    await Handlers(database, STORE, reading).on_dataset_uploaded(event, delivery(event))
    first, second = reading.read_before
    assert not first.held_out[:3].all()
    assert second.held_out[:3].all()
    assert await outbox(database) == ["potluck.dataset.validated"], "told once"


async def test_one_that_holds_them_out_already_is_not_read_again(database: Database) -> None:
    frames = hashes(100, 8)

    async def meanwhile() -> None:
        await take(database, 1, reading.frames[(await selected(database, frames)).held_out])

    reading = Overtaken(frames, meanwhile)
    event = uploaded("late")
    await Handlers(database, STORE, reading).on_dataset_uploaded(event, delivery(event))
    assert len(reading.read_before) == 1


async def test_the_event_brings_the_frames_of_every_branch_once(database: Database, blobs: Blobs) -> None:
    frames = hashes(6, 9)
    content = StandardDataset(
        number=1,
        model_version="1.0",
        seed=1,
        frames_per_branch=64,
        # Two branches may hold the same structure at two levels of theory.
        branches=(branch("si", frames[:4]), branch("si-2", frames[3:])),
    )
    stored = await blobs.put_model("standard/1/content.json", content)
    event = StandardReleased(
        number=1, model_version="1.0", content=stored, branches=2, frames=7, added_frames=7, removed_frames=0
    )
    attributes = Attributes(
        id=uuid4(), type=event.ce_type(), source="potluck/registry", subject=event.about(), time=datetime.now(UTC)
    )
    heard = StandardHandlers(database, STORE, blobs)
    for _ in range(2):
        await heard.on_standard_released(event, Delivery("ingest-standard-released", attributes, 1))
    assert (await selected(database, frames)).train_frames == 0


def branch(name: str, frames: HashArray) -> StandardBranch:
    stored = BlobRef(key="x", sha256="a" * 64, size=1)
    return StandardBranch(
        branch=name,
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        dataset_manifest=stored,
        metric_report=stored,
        frames=tuple(bytes(row).hex() for row in frames),
        baseline_energy_rmse_mev_per_atom=100,
        baseline_force_rmse_mev_per_angstrom=1000,
    )
