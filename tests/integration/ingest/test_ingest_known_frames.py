"""Known frames in a real PostgreSQL: what joins is found again, by its index alone, and only by whom it may be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import numpy as np
import pytest
from contracts.base import DatasetRef
from contracts.events import DatasetMadePublic, DatasetWithdrawn
from ingest.handlers import Handlers
from ingest.selecting import Selection, nothing_known, select
from kit.db import Database
from kit.migrations import migrate
from known_frames import STORE, Overtaken, delivery, hashes, join, outbox, uploaded
from psycopg.errors import UniqueViolation

pytestmark = pytest.mark.usefixtures("progress_untold")


@pytest.fixture
async def database(service_env: Callable[[str], dict[str, str]]) -> AsyncIterator[Database]:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "ingest")
    async with Database.opened(dsn, "test", 4) as opened:
        yield opened


async def test_what_joins_is_found_again(database: Database) -> None:
    common = hashes(12_000, 1)
    first = uploaded("first", owner=uuid4())
    kept = await join(database, first, common)
    second = uploaded("second")
    mixed = np.concatenate([hashes(5_000, 2), common[:11_000]])
    selection = await join(database, second, mixed)
    said = selection.elsewhere
    assert [(one.dataset, one.title, one.frames) for one in said.overlaps] == [(first.dataset, "first", 11_000)]
    np.testing.assert_array_equal(said.known, np.arange(16_000) >= 5_000)
    np.testing.assert_array_equal(said.held_out[5_000:], kept.held_out[:11_000])
    np.testing.assert_array_equal(said.trained[5_000:], ~kept.held_out[:11_000])
    assert said.standard_frames == int(kept.held_out[:11_000].sum())
    assert not (said.held_out & ~selection.held_out).any()


async def test_private_datasets_decide_over_the_split_and_are_not_named(database: Database) -> None:
    read = hashes(100, 3)
    secret = await join(database, uploaded("secret", owner=uuid4(), private=True), read)
    own = await join(database, uploaded("own", private=True), read)
    np.testing.assert_array_equal(own.held_out, secret.held_out)
    assert (own.elsewhere.overlaps, own.elsewhere.standard_frames) == ((), 0)
    assert not own.elsewhere.known.any()
    mine = await join(database, uploaded("mine"), read)
    assert [one.title for one in mine.elsewhere.overlaps] == ["own"]
    strangers = await join(database, uploaded("strangers", owner=uuid4()), read)
    assert [one.title for one in strangers.elsewhere.overlaps] == ["mine"]


async def test_an_earlier_version_is_no_overlap_and_keeps_its_split(database: Database) -> None:
    entry = uuid4()
    first = uploaded("v1", dataset=DatasetRef(dataset_id=entry, version=1))
    kept = await join(database, first, hashes(60, 4))
    second = uploaded("v2", dataset=DatasetRef(dataset_id=entry, version=2))
    more = await join(database, second, np.concatenate([hashes(60, 4), hashes(400, 5)]))
    assert (more.elsewhere.overlaps, more.elsewhere.standard_frames) == ((), 0)
    np.testing.assert_array_equal(more.held_out[:60], kept.held_out)
    assert more.held_out_frames == 46


async def test_who_comes_second_hears_of_who_joined_meanwhile(database: Database) -> None:
    read = hashes(50, 6)
    late = await select(read, nothing_known)
    await join(database, uploaded("early"), read)
    async with database.transaction() as connection:
        newer = await STORE.joined_since(connection, late)
        assert sorted((hit.held_out, len(hit.places)) for hit in newer) == [(False, 38), (True, 12)]
        for hit in newer:
            assert (late.held_out[hit.places] == hit.held_out).all()


async def test_a_dataset_that_was_overtaken_is_read_again_and_split_alike(database: Database) -> None:
    """Two uploads of the same frames, the earlier one with more of them, so that it splits them differently."""
    common = hashes(100, 9)
    early: list[Selection] = []

    async def meanwhile() -> None:
        early.append(await join(database, uploaded("early"), np.concatenate([hashes(900, 10), common])))

    reading = Overtaken(common, meanwhile)
    event = uploaded("late")
    await Handlers(database, STORE, reading).on_dataset_uploaded(event, delivery(event))
    first, second = reading.read_before
    trained = ~early[0].held_out[900:]
    assert (first.held_out & trained).any()
    assert (second.held_out[~trained]).all()
    assert [one.title for one in second.elsewhere.overlaps] == ["early"]
    assert await outbox(database) == ["potluck.dataset.validated"]
    async with database.transaction() as connection:
        row = await STORE.dataset(connection, event.dataset)
    assert row is not None
    assert row["state"] == "validated"


async def test_progress_is_told_while_it_takes_long_and_never_after_the_outcome(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def told() -> None:
        async with asyncio.timeout(60):
            while not await outbox(database):
                await asyncio.sleep(0.01)

    for tells_after_seconds, meanwhile, count in ((3600, _nothing, 0), (0.1, told, 1)):
        monkeypatch.setattr("ingest.handlers._TELL_SECONDS", tells_after_seconds)
        event = uploaded("x")
        await Handlers(database, STORE, Overtaken(hashes(5, 11), meanwhile)).on_dataset_uploaded(event, delivery(event))
        assert await outbox(database) == ["potluck.dataset.reading"] * count + ["potluck.dataset.validated"]
        async with database.transaction() as connection:
            assert not await STORE.is_being_read(connection, event.dataset)
            await connection.execute("delete from outbox")


async def test_a_dataset_version_joins_once(database: Database) -> None:
    event = uploaded("once")
    selection = await join(database, event, hashes(5, 7))
    with pytest.raises(UniqueViolation):
        async with database.transaction() as connection:
            await STORE.keep_frames(connection, event, selection)


async def test_the_query_goes_by_the_index_however_many_are_asked(database: Database) -> None:
    await join(database, uploaded("many"), hashes(30_000, 8))
    text = STORE._queries._named("frames_elsewhere").as_string()
    asked = [UUID(bytes=bytes(row[:16])) for row in hashes(10_000, 8)]
    async with database.transaction() as connection:
        await connection.execute("analyze known_frames")
        cursor = await connection.execute(f"explain {text}".encode(), {"hashes": asked, "after": 0})
        plan = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())
    assert "Index Scan using known_frames_hash" in plan
    assert "Seq Scan" not in plan


async def test_a_dataset_that_was_made_public_is_named_to_others(database: Database) -> None:
    """Also one that is still being read when its contributor makes it public."""
    before, after = uploaded("before", private=True), uploaded("after", private=True)
    handlers = Handlers(database, STORE, Overtaken(hashes(1, 1), _nothing))
    await join(database, before, hashes(20, 31))
    for event in (before, after):
        credit = event.credit.model_copy(update={"private": False})
        told = DatasetMadePublic(dataset=event.dataset, credit=credit)
        said = delivery(told, "ingest-dataset-made-public")
        for _ in range(2):
            await handlers.on_dataset_made_public(told, said)
    await join(database, after, hashes(20, 32))
    both = np.concatenate([hashes(20, 31), hashes(20, 32)])
    found = await join(database, uploaded("a stranger's", owner=uuid4()), both)
    assert {one.title for one in found.elsewhere.overlaps} == {"before", "after"}


async def test_withdrawn_frames_are_not_called_known_and_keep_their_split(database: Database) -> None:
    """Also those of a dataset that is still being read when it is withdrawn; models were trained on them."""
    before, after = uploaded("before"), uploaded("after")
    handlers = Handlers(database, STORE, Overtaken(hashes(1, 1), _nothing))
    kept = await join(database, before, hashes(40, 41))
    for event in (before, after):
        told = DatasetWithdrawn(dataset=event.dataset, reason="a wrong cut-off")
        said = delivery(told, "ingest-dataset-withdrawn")
        for _ in range(2):
            await handlers.on_dataset_withdrawn(told, said)
    await join(database, after, hashes(40, 42))
    again = await join(database, uploaded("again"), np.concatenate([hashes(40, 41), hashes(40, 42), hashes(400, 43)]))
    assert (again.elsewhere.overlaps, again.elsewhere.standard_frames) == ((), 0)
    assert not again.elsewhere.known.any()
    np.testing.assert_array_equal(again.held_out[:40], kept.held_out)


async def _nothing() -> None:
    return
