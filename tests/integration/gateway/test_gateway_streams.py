"""The live stream: followed, broken and resumed, at another replica, without the database."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from contracts.envelope import Event
from gateway_bench import Member, Outside, Site, StreamEvent, eventually, serving_site
from gateway_examples import (
    finished,
    metric_started,
    passed,
    place,
    progress,
    published,
    queued,
    rejected,
    started,
    validated,
)
from gateway_views import a_dataset, handled, judged, take, view, watching


def merged(events: list[StreamEvent]) -> dict[str, Any]:
    """What a page knows after these events."""
    state: dict[str, Any] = {}
    for event in events:
        if event.event == "snapshot":
            state = dict(event.data)
            continue
        change = dict(event.data)
        point = change.pop("point", None)
        training = change.pop("training", None)
        state |= change
        if training is not None:
            curve = training.get("curve", (state.get("training") or {}).get("curve", []))
            state["training"] = training | {"curve": curve}
        if point is not None:
            others = [one for one in state["training"]["curve"] if one["step"] != point["step"]]
            state["training"]["curve"] = sorted([*others, point], key=lambda one: int(one["step"]))
    return state


async def positions(events: AsyncIterator[StreamEvent], until_position: int) -> list[StreamEvent]:
    """Everything up to that position of the log."""
    found: list[StreamEvent] = []
    while not found or not found[-1].id or int(found[-1].id) < until_position:
        found += await take(events, 1)
    return found


async def test_a_watcher_follows_the_whole_way(site: Site, mei: Member, outside: Outside) -> None:
    dataset, round_id = await a_dataset(mei), uuid4()
    said: list[Event] = [
        validated(dataset),
        metric_started(dataset),
        passed(dataset, await judged(site, dataset)),
        queued(round_id, dataset),
        started(round_id),
        progress(round_id, 100, 400),
        progress(round_id, 200, 300),
        finished(round_id),
        published(round_id, dataset),
    ]
    async with watching(site, dataset) as events:
        (snapshot,) = await take(events, 1)
        assert snapshot.event == "snapshot"
        assert snapshot.data == await view(site, dataset)
        await handled(site, outside, *said)
        last = int(snapshot.id) + len(said)
        early = [snapshot, *await positions(events, last)]
    numbers = [int(event.id) for event in early if event.id]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == last
    async with watching(site, dataset) as events:
        late = await take(events, 1)
    now = await view(site, dataset)
    assert merged(late) == now
    assert merged(early) | {"queue": None} == now


async def test_a_stream_resumes_where_it_broke(site: Site, mei: Member, outside: Outside) -> None:
    dataset, round_id = await a_dataset(mei), uuid4()
    async with watching(site, dataset) as events:
        seen = await take(events, 1)
        await handled(site, outside, validated(dataset))
        seen += await positions(events, int(seen[0].id) + 1)
    last = next(event.id for event in reversed(seen) if event.id)
    await handled(
        site, outside, metric_started(dataset), queued(round_id, dataset), started(round_id), progress(round_id, 9, 9)
    )
    async with watching(site, dataset, last) as events:
        missed = await take(events, 4)
        assert [int(event.id) for event in missed] == [int(last) + number for number in (1, 2, 3, 4)]
        assert all(event.event == "update" for event in missed)
        (now,) = await take(events, 1)
        assert now.id == ""
        assert now.data == {"queue": None, "reading": None}
    assert merged([*seen, *missed, now]) == await view(site, dataset)
    for unknown in ("999999", "abc", ""):
        async with watching(site, dataset, unknown) as events:
            assert (await take(events, 1))[0].event == "snapshot"


async def test_places_in_the_queue_are_told_without_an_id(site: Site, mei: Member, outside: Outside) -> None:
    first, second = await a_dataset(mei), await a_dataset(mei)
    async with watching(site, second) as events:
        (snapshot,) = await take(events, 1)
        assert snapshot.data["queue"]["position"] == 2
        await handled(site, outside, rejected(first))
        (event,) = await take(events, 1)
        if event.data["queue"]["position"] == 2:
            # A place that was told while the stream began may be told again.
            (event,) = await take(events, 1)
        assert event.id == ""
        assert event.data["queue"] == place("check", 1)


async def test_watchers_of_another_replica_see_the_same(
    gateway_env: dict[str, str],
    site: Site,
    mei: Member,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    unused_port: int,
) -> None:
    dataset = await a_dataset(mei)
    env = gateway_env | {"POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{unused_port}"}
    async with (
        serving_site(env, monkeypatch) as other,
        watching(site, dataset) as here,
        watching(other, dataset) as there,
    ):
        await take(here, 1)
        await take(there, 1)
        await handled(site, outside, validated(dataset))
        (one,), (two,) = await take(here, 1), await take(there, 1)
        assert one == two
        assert one.data["state"] == "validated"


async def test_streams_survive_a_broken_database_connection(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    async with watching(site, dataset) as events:
        await take(events, 1)
        async with site.base.database.transaction() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and usename = current_user and pid <> pg_backend_pid()"
            )
        await handled(site, outside, validated(dataset))
        (event,) = await take(events, 1)
        if event.id == "":
            # Places in the queue are told anew once somebody listens again.
            (event,) = await take(events, 1)
        assert event.data["state"] == "validated"


async def test_too_many_watchers(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving_site(gateway_env | {"POTLUCK_GATEWAY_MAX_WATCHERS": "1"}, monkeypatch) as site:
        dataset = await a_dataset(await site.join("mei"))
        async with watching(site, dataset) as events:
            await take(events, 1)
            answer = await site.http.get(f"/api/v1/datasets/{dataset.dataset_id}/events")
            assert answer.status_code == 503

        async def free_again() -> bool:
            async with site.http.stream("GET", f"/api/v1/datasets/{dataset.dataset_id}/events") as response:
                return response.status_code == 200

        await eventually(free_again)
