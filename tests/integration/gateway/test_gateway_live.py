"""Read tables: facts twice, late and in the wrong order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from contracts.base import DatasetRef
from contracts.envelope import Event
from contracts.topology import DEAD_LETTER_STREAM
from gateway_bench import Member, Outside, Site, eventually
from gateway_examples import (
    covered,
    failed,
    finished,
    metric_started,
    passed,
    place,
    progress,
    published,
    queued,
    rejected,
    released,
    started,
    training_held_up,
    validated,
    withheld,
)
from gateway_views import a_dataset, handled, judged, until, view


async def test_the_whole_way_to_a_model(site: Site, mei: Member, outside: Outside) -> None:
    dataset, round_id = await a_dataset(mei), uuid4()
    await handled(site, outside, validated(dataset))
    now = await view(site, dataset)
    assert (now["stage"], now["state"], now["verdict"]) == ("check", "validated", None)
    assert now["ingest"]["frames"] == 100
    assert now["ingest"]["set_aside"][0]["path"] == "run2/OUTCAR"
    await handled(site, outside, metric_started(dataset))
    assert (await view(site, dataset))["state"] == "checking"
    await handled(site, outside, passed(dataset, await judged(site, dataset)))
    now = await view(site, dataset)
    assert (now["stage"], now["state"], now["verdict"]) == ("queue", "passed", "passed")
    assert now["metric"]["pictures"] == {
        "parity-force.svg": f"/api/v1/datasets/{dataset.dataset_id}/pictures/parity-force.svg?version=1"
    }
    assert now["metric"]["sentence"] == "20 % of the frames are covered: this is new."
    await handled(site, outside, queued(round_id, dataset))
    assert (await view(site, dataset))["training"]["state"] == "waiting"
    await handled(site, outside, started(round_id), progress(round_id, 100, 400), progress(round_id, 200, 300))
    now = await view(site, dataset)
    assert (now["stage"], now["state"]) == ("train", "training")
    assert now["training"]["worker"] == "worker-1"
    assert now["training"]["step"] == 200
    assert [point["force_rmse_mev_per_angstrom"] for point in now["training"]["curve"]] == [400, 300]
    queue = (await site.http.get("/api/v1/queue")).json()
    assert queue["rounds"][0]["step"] == 200
    assert queue["rounds"][0]["datasets"][0]["name"] == now["name"]
    await handled(site, outside, finished(round_id), published(round_id, dataset))
    now = await view(site, dataset)
    assert (now["stage"], now["state"], now["model"]) == ("done", "published", "1.1")
    assert now["training"]["force_rmse_after_mev_per_angstrom"] == 100
    assert now["growth"][0]["rule"] == "learned"
    assert now["queue"] is None
    model = (await site.http.get("/api/v1/models/1.1")).json()
    assert model["datasets"][0]["url"] == now["url"]
    assert [(check["rule"], check["passed"]) for check in model["checks"]] == [("conserves-energy", False)]
    assert (await site.http.get("/api/v1/queue")).json()["rounds"] == []


async def test_any_order_and_any_repetition_gives_the_same_end(site: Site, mei: Member, outside: Outside) -> None:
    seen = []
    for number, order in enumerate(([0, 1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1, 0], [4, 7, 0, 5, 2, 6, 1, 3])):
        dataset, round_id = await a_dataset(mei), uuid4()
        events: list[Event] = [
            validated(dataset),
            metric_started(dataset),
            passed(dataset, await judged(site, dataset)),
            queued(round_id, dataset),
            started(round_id),
            progress(round_id, 100, 400),
            finished(round_id),
            published(round_id, dataset, version=f"1.{number + 1}"),
        ]
        begin = outside.clock
        for index in order:
            at, identifier = begin + timedelta(milliseconds=index), uuid4()
            for _ in range(2):
                await outside.say(events[index], at=at, identifier=identifier)
        end = await until(site, dataset, state="published")
        await handled(site, outside, progress(uuid4(), 1, 1))  # everything before it has been handled
        end = await view(site, dataset)
        training = {name: value for name, value in end["training"].items() if name != "round_id"}
        seen.append((end["stage"], end["state"], end["verdict"], training, end["ingest"], end["message"]))
    assert seen[0] == seen[1] == seen[2]


async def test_the_stage_never_goes_back(site: Site, mei: Member, outside: Outside) -> None:
    dataset, round_id = await a_dataset(mei), uuid4()
    stages = ["submit", "check", "queue", "train", "done"]
    events: list[Event] = [
        validated(dataset),
        passed(dataset, await judged(site, dataset)),
        queued(round_id, dataset),
        started(round_id),
        metric_started(dataset),
        published(round_id, dataset),
        progress(round_id, 500, 200),
        started(round_id),
    ]
    highest = 0
    for event in events:
        await handled(site, outside, event)
        stage = stages.index((await view(site, dataset))["stage"])
        assert stage >= highest, type(event).__name__
        highest = stage
    assert highest == 4


async def test_rejected_and_not_passed_say_what_to_do(site: Site, mei: Member, outside: Outside) -> None:
    one, two = await a_dataset(mei), await a_dataset(mei)
    await handled(site, outside, rejected(one), validated(two), covered(two, await judged(site, two)))
    now = await view(site, one)
    assert (now["stage"], now["state"], now["verdict"]) == ("done", "rejected", "rejected")
    assert now["message"]["rule"] == "no-calculation"
    assert now["message"]["remedy"] == "Add the OUTCAR files."
    now = await view(site, two)
    assert (now["stage"], now["state"], now["verdict"]) == ("done", "not-passed", "covered")
    assert now["message"]["reason"] == "97 % of the frames are covered."
    assert now["metric"]["pictures"]


async def test_what_a_round_lets_go_waits_again_until_it_is_planned_anew(
    site: Site, mei: Member, outside: Outside
) -> None:
    one, two, round_id, step = await a_dataset(mei), await a_dataset(mei), uuid4(), uuid4()
    ended = (queued(round_id, one, two), started(round_id), progress(round_id, 100, 800), finished(round_id))
    await handled(site, outside, *ended, withheld(round_id))
    assert [(await view(site, ref))["state"] for ref in (one, two)] == ["withheld", "withheld"]
    await handled(site, outside, released(round_id, one))
    now = await view(site, one)
    assert (now["stage"], now["state"], now["training"], now["growth"]) == ("queue", "passed", None, None)
    assert now["message"]["rule"] == "bisecting"
    assert now["message"]["reason"] == "One of the datasets is looked for."
    assert (await view(site, two))["state"] == "withheld"
    # Its own round fails as well: it is the one. The facts of that round come in another order than they happened.
    await handled(site, outside, released(step, one, outcome="failed"), withheld(step), queued(step, one))
    now = await view(site, one)
    assert (now["stage"], now["state"]) == ("done", "failed")
    assert now["message"]["reason"] == "A round with it alone failed too."
    assert "upload it again" in now["message"]["remedy"]
    assert now["training"]["round_id"] == str(step)
    assert now["training"]["branch"] == "branch-0"


async def test_a_cancelled_rounds_contributions_wait_and_the_round_is_not_listed_as_open(
    site: Site, mei: Member, outside: Outside
) -> None:
    dataset, round_id = await a_dataset(mei), uuid4()
    await handled(site, outside, queued(round_id, dataset), started(round_id))
    await handled(site, outside, released(round_id, dataset), failed(round_id, will_retry=False))
    assert (await view(site, dataset))["state"] == "passed"
    assert (await site.http.get("/api/v1/queue")).json()["rounds"] == []


async def test_a_resumed_round_continues_the_curve(site: Site, mei: Member, outside: Outside) -> None:
    dataset, round_id = await a_dataset(mei), uuid4()
    await handled(
        site,
        outside,
        queued(round_id, dataset),
        started(round_id),
        *(progress(round_id, step, 900 - step) for step in (100, 200, 300)),
        failed(round_id, will_retry=True),
    )
    assert (await view(site, dataset))["training"]["state"] == "waiting"
    assert (await view(site, dataset))["stage"] == "queue"
    await handled(site, outside, started(round_id, 2, resumed_from=200), progress(round_id, 300, 555, attempt=2))
    late = progress(round_id, 400, 1)
    await handled(site, outside, late, failed(round_id, 1, will_retry=False))
    now = await view(site, dataset)
    assert (now["state"], now["training"]["attempt"], now["training"]["worker"]) == ("training", 2, "worker-2")
    curve = [(point["step"], point["force_rmse_mev_per_angstrom"]) for point in now["training"]["curve"]]
    assert curve == [(100, 800), (200, 700), (300, 555)]
    assert now["training"]["step"] == 300


async def test_withheld_and_failed_rounds(site: Site, mei: Member, outside: Outside) -> None:
    one, two, first, second = await a_dataset(mei), await a_dataset(mei), uuid4(), uuid4()
    await handled(site, outside, queued(first, one), started(first), withheld(first))
    now = await view(site, one)
    assert (now["stage"], now["state"]) == ("done", "withheld")
    assert now["message"]["rule"] == "remembered"
    assert [rule["passed"] for rule in now["growth"]] == [True, False]
    await handled(site, outside, queued(second, two), started(second), failed(second))
    now = await view(site, two)
    assert (now["state"], now["message"]["rule"]) == ("failed", "not-finite")
    assert (await site.http.get("/api/v1/queue")).json()["rounds"] == []
    third = uuid4()
    await handled(site, outside, queued(third, one, two), started(third))
    assert (await view(site, one))["state"] == (await view(site, two))["state"] == "training"


async def test_a_round_that_no_machine_can_run_says_what_it_waits_for_until_it_begins(
    site: Site, mei: Member, outside: Outside
) -> None:
    async def waits_for(ref: DatasetRef) -> tuple[str | None, str | None]:
        (round_,) = (await site.http.get("/api/v1/queue")).json()["rounds"]
        return round_["waits_for"], (await view(site, ref))["training"]["waits_for"]

    one, first = await a_dataset(mei), uuid4()
    await handled(site, outside, queued(first, one))
    assert await waits_for(one) == (None, None)
    told = training_held_up(first)
    await handled(site, outside, told)
    assert await waits_for(one) == (told.reason, told.reason)
    await handled(site, outside, started(first))
    assert await waits_for(one) == (None, None)
    await handled(site, outside, failed(first, will_retry=True), training_held_up(first, attempt=2))
    assert await waits_for(one) == (told.reason, told.reason)
    # An old word that comes late changes nothing.
    await handled(site, outside, started(first, attempt=2), training_held_up(first, attempt=1))
    assert await waits_for(one) == (None, None)


async def test_events_about_unknown_datasets_do_no_harm(site: Site, mei: Member, outside: Outside) -> None:
    stranger = DatasetRef(dataset_id=uuid4(), version=1)
    await handled(site, outside, validated(stranger), queued(uuid4(), stranger))
    assert (await site.http.get("/api/v1/datasets")).json()["total"] == 0


# Dead letters -------------------------------------------------------------------------------------------------------


async def dead_letter(outside: Outside, about: str, at: Any, reason: str = "KeyError: 'frames'") -> None:
    headers = {
        "ce-subject": about,
        "dead-reason": reason,
        "dead-consumer": "metric-dataset-validated",
        "dead-time": at.isoformat(),
        "Nats-Msg-Id": str(uuid4()),
    }
    await outside.jetstream.publish("dead.potluck.dataset.validated", b"{", stream=DEAD_LETTER_STREAM, headers=headers)


async def test_dead_letters_show_as_held_up_until_something_moves(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    await handled(site, outside, validated(dataset), metric_started(dataset))
    await dead_letter(outside, f"dataset/{dataset}", outside.clock + timedelta(seconds=1))
    held = await until(site, dataset, held_up={"reason": "KeyError: 'frames'"})
    assert held["state"] == "checking"
    assert (await mei.request("GET", "/api/v1/queue")).json()["check"][0]["held_up"]
    outside.clock += timedelta(seconds=5)
    await handled(site, outside, passed(dataset, await judged(site, dataset)))
    assert (await view(site, dataset))["held_up"] is None
    await dead_letter(outside, f"dataset/{dataset}", outside.clock - timedelta(seconds=3), "an old one, late")
    await dead_letter(outside, "nonsense", outside.clock)
    await dead_letter(outside, "dataset/not-an-id/1", outside.clock)
    other = await a_dataset(mei)
    await dead_letter(outside, f"dataset/{other}", outside.clock + timedelta(seconds=9))
    await until(site, other, held_up={"reason": "KeyError: 'frames'"})
    assert (await view(site, dataset))["held_up"] is None


async def test_a_dead_letter_of_a_round_holds_up_its_datasets(site: Site, mei: Member, outside: Outside) -> None:
    one, two, round_id = await a_dataset(mei), await a_dataset(mei), uuid4()
    await handled(site, outside, queued(round_id, one, two))
    await dead_letter(outside, f"round/{round_id}", outside.clock + timedelta(seconds=1))
    await until(site, one, held_up={"reason": "KeyError: 'frames'"})
    await until(site, two, held_up={"reason": "KeyError: 'frames'"})


async def test_an_event_that_the_gateway_cannot_take_in_is_a_dead_letter(
    site: Site, mei: Member, outside: Outside
) -> None:
    """The report that the event names is not in storage: tried again, then set aside, and the contributor sees it."""
    dataset = await a_dataset(mei)
    missing = (await judged(site, dataset)).model_copy(update={"key": "metric/gone/report.json"})
    await outside.say(validated(dataset))
    await outside.say(passed(dataset, missing))
    await until(site, dataset, stage="check")

    async def held_up() -> bool:
        return bool((await view(site, dataset))["held_up"])

    await eventually(held_up, seconds=30)


async def test_a_malformed_event_does_not_stop_the_others(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await a_dataset(mei)
    await outside.jetstream.publish("potluck.dataset.validated", b"not even JSON")
    await outside.jetstream.publish("potluck.nonsense", b"{}", headers={"ce-specversion": "1.0"})
    await handled(site, outside, validated(dataset))
    assert (await view(site, dataset))["state"] == "validated"


async def test_who_waits_for_training_is_told_when_from_the_rounds_there_were(
    site: Site, mei: Member, outside: Outside
) -> None:
    before, now = await a_dataset(mei), await a_dataset(mei)
    round_id = uuid4()
    begin = outside.clock
    report = await judged(site, now)
    await handled(site, outside, validated(now), passed(now, report))
    assert (await view(site, now))["queue"] == place("train", 1)
    told = ((queued(round_id, before), 0), (started(round_id), 60), (published(round_id, before), 1200))
    for event, seconds in told:
        await outside.say(event, at=begin - timedelta(seconds=1200 - seconds))
    await until(site, now, queue=place("train", 1, 900, 1800))
    line = (await site.http.get("/api/v1/queue")).json()["train"]
    assert [(one["eta_low_seconds"], one["eta_high_seconds"]) for one in line] == [(900, 1800)]
    # Its own round began ten minutes ago.
    await outside.say(queued(uuid4(), now), at=datetime.now(UTC) - timedelta(seconds=600))
    own = await until_eta(site, now, 1200)
    assert own["eta_low_seconds"] in (240, 300)


async def until_eta(site: Site, dataset: DatasetRef, high: float) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        found = (await view(site, dataset))["queue"]
        return found if found["eta_high_seconds"] == high else None

    return dict(await eventually(there))
