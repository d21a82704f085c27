"""What a metric run leaves: report, pictures, tables; who may have it, and the run repeated."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from contracts.base import BlobRef, DatasetRef, Overlap
from contracts.events import MetricRerunFinished, MetricRerunRequested
from contracts.topology import DEAD_LETTER_STREAM
from gateway_bench import Member, Outside, Site, eventually
from gateway_examples import passed, read_closely, report, rerun_finished, validated
from gateway_views import a_dataset, handled, take, until, view, watching
from report_examples import everything

SECRET = "rubidium under wraps"


@pytest.fixture
async def eve(site: Site) -> Member:
    return await site.join("eve")


async def stored_report(site: Site, dataset: DatasetRef) -> BlobRef:
    blobs = site.base.blobs
    picture = await blobs.put_bytes("metric/r/map.svg", b"<svg/>")
    table = await blobs.put_bytes("metric/r/frames.csv", b"index,force-cap\n0,63.2\n")
    manifest = await blobs.put_bytes("datasets/secret-place/manifest.json", b"{}")
    full = report(dataset, {"map.svg": picture}).model_copy(
        update=everything()
        | {"tables": {"frames.csv": table}, "dataset_manifest": manifest, "model_manifest": manifest}
    )
    return await blobs.put_model("metric/r/report.json", full)


async def judged(site: Site, outside: Outside, member: Member, **fields: Any) -> DatasetRef:
    """A dataset that passed."""
    dataset = await a_dataset(member, **fields)
    await handled(site, outside, validated(dataset), passed(dataset, await stored_report(site, dataset)))
    return dataset


def path(dataset: DatasetRef, rest: str = "") -> str:
    return f"/api/v1/datasets/{dataset.dataset_id}{rest}"


async def test_the_report_the_tables_and_what_pages_show(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await judged(site, outside, mei)
    metric = (await view(site, dataset))["metric"]
    assert metric["pictures"] == {"map.svg": path(dataset, "/pictures/map.svg?version=1")}
    assert metric["tables"] == {"frames.csv": path(dataset, "/tables/frames.csv?version=1")}
    shown = metric["report"]
    assert [one["rule"] for one in shown["checks"]] == ["force-cap", "min-distance", "net-force", "scf-converged"]
    assert [(one["index"], one["verdict"]) for one in shown["frames"]] == [
        (3, "failed"),
        (7, "suspect"),
        (9, "suspect"),
    ]
    assert shown["verdicts"] == {"failed": 1, "suspect": 2, "covered": 29, "useful": 32}
    assert shown["new_element_pairs"] == ["C-C", "C-Si"]
    assert shown["novelty"]["median"] == 3.6

    (listed,) = (await site.http.get("/api/v1/datasets")).json()["datasets"]
    assert listed["metric"]["report"]["frames"] == []
    assert listed["metric"] | {"report": shown} == metric

    table = await site.http.get(metric["tables"]["frames.csv"])
    assert table.content.startswith(b"index,force-cap")
    assert table.headers["content-disposition"].startswith('attachment; filename="frames.csv"')
    part = await site.http.get(metric["tables"]["frames.csv"], headers={"range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, b"index")

    full = (await site.http.get(metric["report_url"])).json()
    assert len(full["verdicts"]) == 64
    assert full["pictures"]["map.svg"]["url"] == metric["pictures"]["map.svg"]
    assert full["seed"] == 7
    assert "secret-place" not in json.dumps(full)
    assert "key" not in full["tables"]["frames.csv"]


async def test_before_the_metric_has_run_there_is_nothing(site: Site, mei: Member) -> None:
    dataset = await a_dataset(mei)
    for rest in ("/metric", "/tables/frames.csv", "/pictures/map.svg"):
        answer = await mei.request("GET", path(dataset, rest))
        assert answer.status_code == 404
        assert answer.json()["remedy"]
    answer = await mei.request("POST", path(dataset, "/metric/reruns"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:potluck:problem:not-judged")


async def test_of_a_private_dataset_nobody_else_gets_anything(
    site: Site, mei: Member, eve: Member, outside: Outside
) -> None:
    dataset = await judged(site, outside, mei, private=True, name=SECRET)
    for method, rest in (
        ("GET", "/metric"),
        ("GET", "/tables/frames.csv"),
        ("GET", "/pictures/map.svg"),
        ("GET", "/archive"),
        ("GET", "/metric/reruns"),
        ("POST", "/metric/reruns"),
        ("GET", "/events"),
    ):
        hers = await eve.request(method, path(dataset, rest))
        nothing = await eve.request(method, f"/api/v1/datasets/{uuid4()}{rest}")
        assert hers.status_code == nothing.status_code == 404, rest
        assert hers.json() == nothing.json(), rest
        ranged = await eve.request(method, path(dataset, rest), headers={"range": "bytes=0-1"})
        assert ranged.status_code == 404
        stranger = await site.http.request(method, path(dataset, rest))
        assert stranger.status_code == (401 if method == "POST" else 404)
        if rest != "/events":
            assert (await mei.request(method, path(dataset, rest))).status_code in (200, 201), rest


# What may be downloaded ---------------------------------------------------------------------------------------------


async def test_until_it_was_looked_into_an_archive_is_its_owners(
    site: Site, mei: Member, eve: Member, outside: Outside
) -> None:
    dataset = await a_dataset(mei)
    for headers in ({}, {"range": "bytes=0-3"}):
        assert (await eve.request("GET", path(dataset, "/archive"), headers=headers)).status_code == 404
        assert (await site.http.head(path(dataset, "/archive"), headers=headers)).status_code == 404
    assert (await mei.request("GET", path(dataset, "/archive"))).content == b"an archive"
    assert (await mei.request("GET", path(dataset))).json()["download"]["filename"] == "data.zip"
    assert (await eve.request("GET", path(dataset))).json()["download"] is None
    await handled(site, outside, validated(dataset))
    assert (await site.http.get(path(dataset, "/archive"))).content == b"an archive"


async def test_of_an_archive_with_potcars_only_the_cleaned_one_is_offered(
    site: Site, mei: Member, eve: Member, outside: Outside
) -> None:
    dataset = await a_dataset(mei)
    original = (await mei.request("GET", path(dataset, "/archive"))).headers["etag"]
    cleaned = await site.base.blobs.put_bytes("datasets/x/shared.tar.zst", b"without the POTCAR")
    await handled(site, outside, read_closely(dataset, download=cleaned))
    for member in (mei, eve):
        offered = (await member.request("GET", path(dataset))).json()["download"]
        assert offered["removed"] == ["run1/POTCAR", "run2/POTCAR"]
        assert (offered["size"], offered["sha256"]) == (cleaned.size, cleaned.sha256)
        whole = await member.request("GET", path(dataset, "/archive"))
        assert whole.content == b"without the POTCAR"
        assert 'filename="data-shared.tar.zst"' in whole.headers["content-disposition"]
        # Who has a piece of the original, or asks for a piece, gets none of it either.
        for headers in ({"range": "bytes=0-1"}, {"range": "bytes=3-", "if-range": original}):
            part = await member.request("GET", path(dataset, "/archive"), headers=headers)
            assert part.content in (b"wi", b"without the POTCAR")
            assert part.headers["etag"] == f'"{cleaned.sha256}"'
        stale = await member.request("GET", path(dataset, "/archive"), headers={"if-none-match": original})
        assert stale.status_code == 200


# Overlaps -----------------------------------------------------------------------------------------------------------


async def test_overlaps_name_what_the_reader_may_see(site: Site, mei: Member, eve: Member, outside: Outside) -> None:
    public = await a_dataset(eve, name="Silicon for all")
    private = await a_dataset(mei, private=True, name=SECRET)
    dataset = await a_dataset(mei)
    overlaps = (
        Overlap(dataset=private, title=SECRET, frames=40),
        Overlap(dataset=public, title="as it was called", frames=7),
        Overlap(dataset=DatasetRef(dataset_id=uuid4(), version=1), title="gone", frames=3),
    )
    async with watching(site, dataset) as events:
        await take(events, 1)
        await handled(site, outside, read_closely(dataset, *overlaps))
        # Its place in the line may be told in between.
        told = (await take(events, 1))[0].data
        while "ingest" not in told:
            told = (await take(events, 1))[0].data
    hers = (await mei.request("GET", path(dataset))).json()["ingest"]["overlaps"]
    assert [(one["name"], one["frames"]) for one in hers] == [(SECRET, 40), ("Silicon for all", 7)]
    for found in ((await eve.request("GET", path(dataset))).json(), await view(site, dataset), told):
        assert [one["name"] for one in found["ingest"]["overlaps"]] == ["Silicon for all"]
        assert SECRET not in json.dumps(found)
        assert str(private.dataset_id) not in json.dumps(found)


# Repetitions --------------------------------------------------------------------------------------------------------


async def asked(outside: Outside) -> MetricRerunRequested:
    """The request as metric hears it."""
    subscription = await outside.jetstream.subscribe(MetricRerunRequested.nats_subject, ordered_consumer=True)
    message = await subscription.next_msg(timeout=30)
    await subscription.unsubscribe()
    return MetricRerunRequested.model_validate_json(message.data)


async def test_a_run_is_repeated_and_everybody_sees_the_result(
    site: Site, mei: Member, eve: Member, outside: Outside
) -> None:
    dataset = await judged(site, outside, mei)
    made = await mei.request("POST", path(dataset, "/metric/reruns"), headers={"idempotency-key": "once"})
    assert (made.status_code, made.json()["state"]) == (201, "running")
    again = await mei.request("POST", path(dataset, "/metric/reruns"), headers={"idempotency-key": "once"})
    assert again.json()["id"] == made.json()["id"]
    twice = await mei.request("POST", path(dataset, "/metric/reruns"))
    assert (twice.status_code, twice.json()["type"]) == (409, "urn:potluck:problem:rerun-running")
    requested = await asked(outside)
    assert requested.rerun_id == UUID(made.json()["id"])
    assert str(requested.run_id) == (await view(site, dataset))["metric"]["run_id"]

    async with watching(site, dataset) as events:
        (snapshot,) = await take(events, 1)
        assert snapshot.data["reruns"][0]["state"] == "running"
        await handled(site, outside, rerun_finished(requested))
        (told,) = await take(events, 1)
    assert told.data["reruns"][0]["same"] is True
    assert told.data["state"] == "passed"
    listed = (await eve.request("GET", path(dataset, "/metric/reruns"))).json()["reruns"]
    assert [(one["state"], one["same"], one["numbers"]) for one in listed] == [("done", True, 212)]
    assert listed[0]["sentence"] == "The same verdict and the same 212 numbers."


async def test_who_may_ask_and_how_often(site: Site, mei: Member, eve: Member, outside: Outside) -> None:
    dataset = await judged(site, outside, mei)
    refused = await eve.request("POST", path(dataset, "/metric/reruns"))
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:potluck:problem:not-yours")
    run_id = UUID((await view(site, dataset))["metric"]["run_id"])
    for _ in range(6):
        made = await mei.request("POST", path(dataset, "/metric/reruns"))
        assert made.status_code == 201, made.text
        event = MetricRerunRequested(dataset=dataset, rerun_id=made.json()["id"], run_id=run_id)
        await handled(site, outside, rerun_finished(event, same=False))
    enough = await mei.request("POST", path(dataset, "/metric/reruns"))
    assert enough.status_code == 429
    assert int(enough.headers["retry-after"]) > 3000
    page = (await view(site, dataset))["reruns"]
    assert len(page) == 5
    assert page[0]["differences"] == [{"name": "coverage", "before": 0.2, "after": 0.95}]


async def test_a_repetition_that_metric_gave_up_holds_nothing_up(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await judged(site, outside, mei)
    made = (await mei.request("POST", path(dataset, "/metric/reruns"))).json()
    request = await asked(outside)
    headers = {"ce-subject": f"dataset/{dataset}", "dead-reason": "no such model", "dead-time": "2099-01-01T00:00:00Z"}
    subject = f"dead.{MetricRerunRequested.nats_subject}"
    await outside.jetstream.publish(subject, b"not JSON", stream=DEAD_LETTER_STREAM, headers=headers)
    await outside.jetstream.publish(subject, request.body(), stream=DEAD_LETTER_STREAM, headers=headers)

    async def given_up() -> bool:
        return bool((await view(site, dataset))["reruns"][0]["state"] == "failed")

    await eventually(given_up)
    now = await until(site, dataset, held_up=None, state="passed")
    assert now["reruns"][0]["id"] == made["id"]
    again = await mei.request("POST", path(dataset, "/metric/reruns"))
    assert again.status_code == 201
    gone = MetricRerunFinished(
        dataset=dataset,
        rerun_id=again.json()["id"],
        run_id=request.run_id,
        repeated=False,
        same=False,
        sentence="The model that judged it is gone.",
    )
    await handled(site, outside, gone)
    newest = (await view(site, dataset))["reruns"][0]
    assert (newest["state"], newest["sentence"]) == ("failed", gone.sentence)
