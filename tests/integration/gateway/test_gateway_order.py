"""Whatever the order in which events arrive, the read tables hold the same afterwards."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from contracts.base import BlobRef, DatasetRef
from contracts.envelope import Attributes, Event
from contracts.events import DatasetLookedInto, ModelAliased, ModelMarked, ModelRescored, ModelRetired
from gateway.live.projections import Projector
from gateway.live.rebuild import OneSession, session
from gateway.store import Store
from gateway.stores.rebuild import BESIDE
from gateway_bench import Member, Site
from gateway_examples import (
    covered,
    failed,
    finished,
    metric_started,
    passed,
    progress,
    published,
    queued,
    reading,
    receipt,
    rejected,
    released,
    started,
    training_held_up,
    validated,
    withheld,
)
from gateway_views import judged
from kit.bus import Delivery
from psycopg import sql
from standard_examples import standard_score

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """An event, its identity and its time: the same in whatever order it comes."""

    event: Event
    identifier: UUID
    at: datetime


def in_time(*events: Event) -> list[Told]:
    """A second apart; two of one moment are not two facts of one service."""
    return [Told(event, uuid4(), BEGIN + timedelta(seconds=place)) for place, event in enumerate(events)]


async def published_dataset(mei: Member) -> DatasetRef:
    made = await mei.publish()
    return DatasetRef(dataset_id=made["id"], version=made["version"])


@dataclass(frozen=True)
class Replay:
    """Events taken in as a rebuild takes them in: into tables of a session of its own."""

    own: OneSession
    projector: Projector

    async def tables(self, told: list[Told]) -> dict[str, list[Any]]:
        """Rows of every read table after these events."""
        for table in BESIDE:
            await self.own.connection.execute(sql.SQL("delete from pg_temp.{}").format(sql.Identifier(table)))
        for one in told:
            attributes = Attributes(
                id=one.identifier,
                type=one.event.ce_type(),
                source="potluck/test",
                subject=one.event.about(),
                time=one.at,
            )
            await self.projector.on_event(one.event, Delivery("gateway-events", attributes, attempt=1))
        return {table: await self._rows(table) for table in BESIDE if table != "inbox"}

    async def _rows(self, table: str) -> list[Any]:
        query = sql.SQL("select to_jsonb(t) as row from pg_temp.{} t").format(sql.Identifier(table))
        rows = await (await self.own.connection.execute(query)).fetchall()
        return sorted((row["row"] for row in rows), key=str)


@pytest.fixture
async def replay(site: Site) -> AsyncIterator[Replay]:
    store = Store()
    async with session(site.base.database.dsn, "order-of-events") as own:
        assert await store.rebuilding.begin(own.connection)
        yield Replay(own, Projector(own, store, site.base.blobs, None))


async def same_in_any_order(replay: Replay, told: list[Told], seeds: range) -> dict[str, list[Any]]:
    """What the tables hold after the order of time, which they hold after others as well."""
    expected = await replay.tables(told)
    orders = [list(reversed(told)), *(random.Random(seed).sample(told, len(told)) for seed in seeds)]
    for order in orders:
        found = await replay.tables(order)
        for table, rows in expected.items():
            assert found[table] == rows, (table, [type(one.event).__name__ for one in order])
    return expected


def a_round(round_id: UUID, dataset: DatasetRef) -> list[Event]:
    """Two attempts die, the third goes back further than the second did, and ends."""
    return [
        queued(round_id, dataset),
        training_held_up(round_id),
        training_held_up(round_id).model_copy(update={"reason": "Training waits for a disk."}),
        started(round_id),
        progress(round_id, 100, 500),
        progress(round_id, 200, 400),
        progress(round_id, 300, 350),
        failed(round_id, 1, will_retry=True),
        started(round_id, 2, 200),
        progress(round_id, 250, 360, 2),
        failed(round_id, 2, will_retry=True),
        started(round_id, 3, 100),
        progress(round_id, 220, 340, 3),
        finished(round_id),
    ]


async def test_a_round_whose_events_overtake_its_planning(replay: Replay, mei: Member) -> None:
    dataset, round_id = await published_dataset(mei), uuid4()
    told = in_time(queued(round_id, dataset), started(round_id), progress(round_id, 100, 400))
    expected = await replay.tables(told)
    (row,) = expected["contributions"]
    assert datetime.fromisoformat(row["last_event"]) == told[-1].at
    for order in permutations(told):
        assert await replay.tables(list(order)) == expected, [type(one.event).__name__ for one in order]


async def test_a_curve_of_three_attempts(replay: Replay, mei: Member) -> None:
    dataset, round_id = await published_dataset(mei), uuid4()
    told = in_time(*a_round(round_id, dataset), published(round_id, dataset), receipt(dataset, round_id))
    expected = await same_in_any_order(replay, told, range(25))
    points = sorted((row["step"], row["attempt"]) for row in expected["curve_points"])
    assert points == [(100, 1), (220, 3)]  # the third attempt began again at step 100
    (row,) = expected["rounds"]
    assert (row["attempt"], row["worker"], row["resumed_from"]) == (3, "worker-3", 100)
    assert row["waits_for"]["reason"] == "Training waits for a disk."


async def test_a_contribution_of_two_rounds_and_every_fact_twice(site: Site, replay: Replay, mei: Member) -> None:
    dataset, other = await published_dataset(mei), await published_dataset(mei)
    report: BlobRef = await judged(site, dataset)
    first, second = uuid4(), uuid4()
    told = in_time(
        reading(dataset, 40),
        reading(dataset, 80),
        validated(dataset),
        validated(dataset).model_copy(update={"frames": 101}),
        metric_started(dataset),
        metric_started(dataset),
        covered(dataset, report),
        passed(dataset, report),
        rejected(other),
        rejected(other).model_copy(update={"reason": "There is nothing in it."}),
        DatasetLookedInto(dataset=other),
        DatasetLookedInto(dataset=other, removed=("run/POTCAR",)),
        *a_round(first, dataset),
        withheld(first),
        released(first, dataset),
        released(first, dataset, outcome="failed"),
        *a_round(second, dataset),
        published(second, dataset),
    )
    expected = await same_in_any_order(replay, told, range(8))
    by_id = {row["dataset_id"]: row for row in expected["contributions"]}
    row = by_id[str(dataset.dataset_id)]
    assert (row["state"], row["validated"]["frames"], row["metric"]["outcome"]) == ("published", 101, "passed")
    assert by_id[str(other.dataset_id)]["rejected"]["reason"] == "There is nothing in it."
    assert [one["released"]["outcome"] for one in expected["round_datasets"] if one["released"]] == ["failed"]


async def test_what_becomes_of_versions(replay: Replay, mei: Member) -> None:
    dataset, round_id = await published_dataset(mei), uuid4()
    told = in_time(
        queued(round_id, dataset),
        published(round_id, dataset),
        ModelAliased(alias="stable", version="1.1", previous=None, reason="first"),
        ModelAliased(alias="stable", version="1.1", previous="1.1", reason="again"),
        ModelMarked(version="1.1", withdrawn_branches=("branch-0",), withdrawn_ancestral_datasets=1),
        ModelMarked(version="1.1", withdrawn_branches=("branch-0", "branch-1"), withdrawn_ancestral_datasets=2),
        ModelRetired(version="1.1", reason="An error in its energies."),
        ModelRetired(version="1.1", reason="An error in its energies and forces."),
        ModelRescored(version="1.1", standard=standard_score(1, {"si": (0.2, 0.4)})),
        ModelRescored(version="1.1", standard=standard_score(1, {"si": (0.3, 0.4)})),
    )
    expected = await same_in_any_order(replay, told, range(8))
    (marks,) = expected["model_marks"]
    assert (marks["withdrawn_ancestral_datasets"], marks["retired_reason"]) == (
        2,
        "An error in its energies and forces.",
    )
