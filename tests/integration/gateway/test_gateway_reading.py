"""How far the reading of an archive has come: the newest word alone, until the outcome is there, in any order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.base import DatasetRef
from contracts.topology import DEAD_LETTER_STREAM
from gateway_bench import Member, Outside, Site, eventually, read_events
from gateway_examples import (
    covered,
    metric_started,
    passed,
    place,
    read_closely,
    reading,
    rejected,
    validated,
)
from gateway_views import a_dataset, handled, judged, take, until, view, watching


async def parsed(site: Site, dataset: DatasetRef, count: int | None) -> dict[str, Any]:
    """The view once so many calculations are parsed (none: nothing is read)."""

    async def there() -> dict[str, Any] | None:
        now = await view(site, dataset)
        return now if (now["reading"] or {}).get("parsed") == count else None

    return dict(await eventually(there))


async def rows(site: Site, table: str, dataset: DatasetRef) -> int:
    async with site.base.database.transaction() as connection:
        cursor = await connection.execute(
            f"select count(*) as known from {table} where dataset_id = %s",
            (dataset.dataset_id,),
        )
        row = await cursor.fetchone()
    return int(row["known"]) if row else 0


async def test_progress_is_shown_and_leaves_no_trace(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    assert (await view(site, dataset))["reading"] is None
    before = await rows(site, "contribution_log", dataset)
    for count in range(1, 31):
        await outside.say(reading(dataset, count))
    now = await parsed(site, dataset, 30)
    assert now["state"] == "uploaded"
    assert now["reading"] == {
        "step": "parsing",
        "files": 2100,
        "calculations": 1000,
        "parsed": 30,
        "frames": 300,
        "set_aside": 2,
        "eta_seconds": 90.0,
    }
    assert await rows(site, "contribution_log", dataset) == before
    async with site.base.database.transaction() as connection:
        cursor = await connection.execute("select count(*) as known from inbox")
        row = await cursor.fetchone()
    assert row is not None
    assert row["known"] == 2  # our own dataset.uploaded and dataset.published


async def test_old_progress_never_replaces_newer_progress(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    await outside.say(reading(dataset, 500))
    await parsed(site, dataset, 500)
    await outside.say(reading(dataset, 100), at=outside.clock - timedelta(seconds=5))
    await outside.say(reading(dataset, 600))
    await parsed(site, dataset, 600)


@pytest.mark.parametrize("outcome", [validated, rejected])
async def test_progress_that_comes_after_the_outcome_is_not_shown(
    site: Site, mei: Member, outside: Outside, outcome: Any
) -> None:
    dataset, other = await a_dataset(mei), await a_dataset(mei)
    await outside.say(reading(dataset, 999))
    await parsed(site, dataset, 999)
    await handled(site, outside, outcome(dataset))
    assert (await view(site, dataset))["reading"] is None
    await outside.say(reading(dataset, 1000))
    await outside.say(reading(other, 1))
    await parsed(site, other, 1)
    assert (await view(site, dataset))["reading"] is None


async def test_progress_is_live_without_moving_the_position(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    async with watching(site, dataset) as events:
        (snapshot,) = await take(events, 1)
        await outside.say(reading(dataset, 10))
        (first,) = await take(events, 1)
        await outside.say(reading(dataset, 20))
        (second,) = await take(events, 1)
        assert [one.id for one in (first, second)] == ["", ""]
        assert [one.data["reading"]["parsed"] for one in (first, second)] == [10, 20]
        await outside.say(validated(dataset))
        (outcome,) = await take(events, 1)
    assert int(outcome.id) == int(snapshot.id) + 1
    assert outcome.data["reading"] is None
    assert outcome.data["state"] == "validated"


async def test_a_page_opened_late_and_one_that_comes_back_know_how_far_it_is(
    site: Site, mei: Member, outside: Outside
) -> None:
    dataset = await a_dataset(mei)
    await outside.say(reading(dataset, 40))
    await parsed(site, dataset, 40)
    async with watching(site, dataset) as events:
        (snapshot,) = await take(events, 1)
    assert snapshot.data["reading"]["parsed"] == 40
    await outside.say(reading(dataset, 50))
    await parsed(site, dataset, 50)
    async with watching(site, dataset, snapshot.id) as events:
        (again,) = await take(events, 1)
        if again.data["reading"]["parsed"] == 40:
            # What was told a moment ago is told again until the news is heard, which then comes.
            (again,) = await take(events, 1)
    assert again.id == ""
    assert again.data["reading"]["parsed"] == 50


async def test_progress_ends_being_held_up(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    died = datetime.now(UTC)
    headers = {"ce-subject": f"dataset/{dataset}", "dead-reason": "disk full", "dead-time": died.isoformat()}
    await outside.jetstream.publish("dead.potluck.dataset.uploaded", b"{}", stream=DEAD_LETTER_STREAM, headers=headers)
    held = await until(site, dataset, held_up={"reason": "disk full"})
    assert held["reading"] is None
    await outside.say(reading(dataset, 1), at=died + timedelta(seconds=1))
    now = await until(site, dataset, held_up=None)
    assert now["reading"]["parsed"] == 1


# The line for the check ---------------------------------------------------------------------------------------------


async def test_first_read_is_first_checked(site: Site, mei: Member, outside: Outside) -> None:
    large, small, third = [await a_dataset(mei) for _ in range(3)]
    assert (await view(site, large))["queue"]["position"] == 1
    await handled(site, outside, validated(small))
    assert (await view(site, small))["queue"]["position"] == 1
    assert (await view(site, large))["queue"]["position"] == 2
    await handled(site, outside, validated(large))
    await handled(site, outside, metric_started(large))
    lines = (await site.http.get("/api/v1/queue")).json()["check"]
    assert [one["url"].rsplit("/")[-1] for one in lines] == [str(one.dataset_id) for one in (large, small, third)]
    assert [one["state"] for one in lines] == ["checking", "validated", "uploaded"]


async def test_what_is_held_up_is_in_nobodys_way(site: Site, mei: Member, outside: Outside) -> None:
    stuck, next_one = await a_dataset(mei), await a_dataset(mei)
    await handled(site, outside, validated(stuck), validated(next_one))
    assert (await view(site, next_one))["queue"] == place("check", 2)
    headers = {"ce-subject": f"dataset/{stuck}", "dead-reason": "poison", "dead-time": outside.clock.isoformat()}
    async with watching(site, next_one) as events:
        await take(events, 1)
        await outside.jetstream.publish(
            "dead.potluck.dataset.validated", b"{}", stream=DEAD_LETTER_STREAM, headers=headers
        )
        (moved,) = await take(events, 1)
    assert moved.data == {"queue": place("check", 1)}
    assert (await view(site, stuck))["queue"] is None
    line = (await site.http.get("/api/v1/queue")).json()["check"]
    assert [(one["position"], one["held_up"]) for one in line] == [(1, False), (None, True)]


async def test_waiting_times_come_from_the_last_runs(site: Site, mei: Member, outside: Outside) -> None:
    waits = await a_dataset(mei)
    await handled(site, outside, validated(waits))
    assert (await view(site, waits))["queue"]["eta_high_seconds"] is None
    for outcome in (passed, covered):
        done = await a_dataset(mei)
        await outside.say(validated(done), at=outside.clock)
        await outside.say(metric_started(done), at=outside.clock + timedelta(seconds=1))
        await outside.say(outcome(done, await judged(site, done)), at=outside.clock + timedelta(seconds=101))
        await until(site, done, verdict="passed" if outcome is passed else "covered")
    told = (await view(site, waits))["queue"]
    assert told["eta_low_seconds"] <= 100 <= told["eta_high_seconds"]
    line = (await site.http.get("/api/v1/queue")).json()
    assert line["check"][0]["eta_high_seconds"] == told["eta_high_seconds"]
    assert line["train"][0]["eta_high_seconds"] is None


async def test_who_watches_the_queue_is_told_that_it_changed(site: Site, mei: Member, outside: Outside) -> None:
    async with site.http.stream("GET", "/api/v1/queue/events", timeout=20) as response:
        events = read_events(response)
        assert [one.event for one in await take(events, 1)] == ["changed"]
        made = await mei.publish(private=True)
        (changed,) = await take(events, 1)
    assert (changed.event, changed.id, changed.data) == ("changed", "", {})
    assert made["id"] not in str(changed)


async def test_everything_that_ingest_tells_is_shown(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    await handled(site, outside, read_closely(dataset))
    found = (await view(site, dataset))["ingest"]
    assert found["detection"]["confidence"] == "certain"
    assert found["theory_mismatches"] == [{"field": "cutoff_ev", "declared": "400 eV", "found": "520 eV"}]
    assert found["scf"] == {"converged": 90, "unconverged": 4, "unknown": 10}
    assert [(one["name"], one["unit"], one["frames"]) for one in found["labels"]][2] == ("virial", "eV", 60)
    assert found["standard_frames"] == 3
    assert found["declared"]["cutoff_ev"] == 400.0
