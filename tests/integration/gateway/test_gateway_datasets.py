"""Entries over HTTP: what is refused, what repeats, and private means private on every route."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from contracts.base import DatasetRef
from contracts.events import DatasetUploaded
from contracts.keys import FORMAT_CATALOG
from gateway.domain import Person
from gateway.uploads.uploads import Upload, Uploads
from gateway_bench import Member, Outside, Site, entry, eventually
from gateway_examples import passed, place, published, queued, report, started, validated
from nats.js.api import DeliverPolicy

WRONG_FIELDS: list[tuple[str, Any]] = [
    ("upload_id", "not-an-id"),
    ("upload_id", None),
    ("upload_id", str(uuid4())),
    ("name", ""),
    ("name", "x" * 201),
    ("name", "two\nlines"),
    ("name", 7),
    ("authors", []),
    ("authors", "Mei Lin"),
    ("authors", ["Mei Lin", ""]),
    ("authors", ["Mei Lin", "Mei Lin"]),
    ("authors", [None]),
    ("format", "vasp/nonsense"),
    ("format", None),
    ("format", ["detect"]),
    ("licence", "MIT"),
    ("licence", None),
    ("private", "yes"),
    ("private", 1),
    ("description", 7),
    ("description", "x" * 100_001),
    ("description", "a\x00b"),
    ("level_of_theory", "PBE"),
    ("level_of_theory", {"functional": 7}),
    ("level_of_theory", {"cutoff_ev": -1}),
    ("level_of_theory", {"cutoff_ev": "500"}),
    ("level_of_theory", {"spin": "up"}),
    ("level_of_theory", {"functional": ""}),
    ("agreement", False),
    ("agreement", None),
    ("agreement", "1999-01"),
    ("sha256", "abc"),
    ("sha256", "0" * 64),
    ("surprise", 1),
]


async def test_every_field_is_checked_and_named(mei: Member) -> None:
    good = entry(await mei.upload(b"an archive"))
    for field, value in WRONG_FIELDS:
        answer = await mei.request("POST", "/api/v1/datasets", json=good | {field: value})
        assert answer.status_code == 422, (field, value, answer.text)
        problem = answer.json()
        assert problem["field"] == field, problem
        assert problem["detail"]
        assert problem["remedy"]
    assert (await mei.request("GET", "/api/v1/datasets")).json()["total"] == 0
    several = await mei.request("POST", "/api/v1/datasets", json=good | {"name": "", "licence": "MIT"})
    assert [one["field"] for one in several.json()["errors"]] == ["name", "licence"]
    assert (await mei.request("POST", "/api/v1/datasets", json=good)).status_code == 201


async def test_strangers_cannot_publish(site: Site, mei: Member) -> None:
    upload_id = await mei.upload(b"an archive")
    assert (await site.http.post("/api/v1/datasets", json=entry(upload_id))).status_code == 401


async def test_formats_come_from_ingest(site: Site, mei: Member) -> None:
    catalog = (await site.http.get("/api/v1/formats")).json()
    assert [one["name"] for one in catalog["formats"]] == ["vasp/outcar", "deepmd/npy"]
    await mei.publish(format="outcar")
    async with site.base.database.transaction() as connection:
        cursor = await connection.execute("select format from datasets")
        assert [row["format"] for row in await cursor.fetchall()] == ["vasp/outcar"]


async def test_before_ingest_has_started(site: Site, mei: Member) -> None:
    await site.base.blobs.delete(FORMAT_CATALOG)
    answer = await site.http.get("/api/v1/formats")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert (await mei.publish())["state"] == "uploaded"


async def test_publishing_emits_one_event_in_the_same_transaction(site: Site, mei: Member, outside: Outside) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    upload_id = await mei.upload(b"an archive")
    made = await mei.request(
        "POST", "/api/v1/datasets", json=entry(upload_id) | {"private": True}, headers={"traceparent": parent}
    )
    subscription = await outside.jetstream.subscribe(
        DatasetUploaded.nats_subject, ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
    )
    message = await subscription.next_msg(timeout=30)
    assert message.headers is not None
    assert message.headers["ce-subject"] == f"dataset/{made.json()['id']}/1"
    assert message.headers["traceparent"].split("-")[1] == parent.split("-")[1]
    event = DatasetUploaded.model_validate_json(message.data)
    assert event.credit.private
    assert event.archive.sha256 == made.json()["sha256"]
    assert event.format == "detect"
    assert event.declared is not None
    assert event.declared.cutoff_ev == 500.0
    assert await site.base.blobs.get_bytes(event.archive.key) == b"an archive"


async def test_a_repeated_request_makes_one_entry(mei: Member) -> None:
    body = entry(await mei.upload(b"an archive"))
    headers = {"Idempotency-Key": "0193"}
    answers = await asyncio.gather(
        *(mei.request("POST", "/api/v1/datasets", json=body, headers=headers) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = await mei.request("POST", "/api/v1/datasets", json=body | {"name": "Other"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["field"] == "Idempotency-Key"
    without = await mei.request("POST", "/api/v1/datasets", json=body)
    assert without.status_code == 409
    assert (await mei.request("GET", "/api/v1/datasets?mine=1")).json()["total"] == 1


async def test_a_repeated_request_that_the_first_one_overtakes_answers_alike(
    mei: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked for what the first one made, and the upload is published when it comes to that."""
    body, headers = entry(await mei.upload(b"an archive")), {"Idempotency-Key": "0193"}
    find, looks = Uploads.find, list[UUID]()
    looked, published = asyncio.Event(), asyncio.Event()

    async def held_up(self: Uploads, person: Person, upload_id: UUID) -> Upload:
        looks.append(upload_id)
        if len(looks) == 1:
            looked.set()
            await published.wait()
        return await find(self, person, upload_id)

    monkeypatch.setattr(Uploads, "find", held_up)
    late = asyncio.create_task(mei.request("POST", "/api/v1/datasets", json=body, headers=headers))
    await looked.wait()
    first = await mei.request("POST", "/api/v1/datasets", json=body, headers=headers)
    published.set()
    again = await late
    assert (first.status_code, again.status_code) == (201, 201), again.text
    assert first.json()["id"] == again.json()["id"]


async def test_keys_belong_to_people(site: Site, mei: Member) -> None:
    eve = await site.join("eve")
    headers = {"Idempotency-Key": "1"}
    first = await mei.request("POST", "/api/v1/datasets", json=entry(await mei.upload(b"a")), headers=headers)
    second = await eve.request("POST", "/api/v1/datasets", json=entry(await eve.upload(b"b")), headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] != second.json()["id"]
    wrong = await mei.request("POST", "/api/v1/datasets", json={}, headers={"Idempotency-Key": "x" * 201})
    assert wrong.json()["field"] == "Idempotency-Key"


async def test_a_lost_row_of_the_upload_is_refused_in_words(mei: Member) -> None:
    upload_id = await mei.upload(b"an archive")
    await mei.request("DELETE", f"/api/v1/uploads/{upload_id}", headers={"Tus-Resumable": "1.0.0"})
    answer = await mei.request("POST", "/api/v1/datasets", json=entry(upload_id))
    assert answer.status_code == 422
    assert answer.json()["field"] == "upload_id"


async def test_pages_of_the_list(site: Site, mei: Member) -> None:
    for number in range(3):
        await mei.publish(b"%d" % number, name=f"Dataset {number}", private=number == 1)
    public = (await site.http.get("/api/v1/datasets")).json()
    assert [one["name"] for one in public["datasets"]] == ["Dataset 2", "Dataset 0"]
    assert (public["page"], public["pages"], public["total"]) == (1, 1, 2)
    mine = (await mei.request("GET", "/api/v1/datasets?mine=1")).json()
    assert [one["name"] for one in mine["datasets"]] == ["Dataset 2", "Dataset 1", "Dataset 0"]
    beyond = (await site.http.get("/api/v1/datasets?page=7")).json()
    assert beyond["datasets"] == []
    assert beyond["total"] == 2
    for query, field in (("page=0", "page"), ("page=x", "page"), ("page=-1", "page"), ("mine=yes", "mine")):
        answer = await site.http.get(f"/api/v1/datasets?{query}")
        assert answer.status_code == 422
        assert answer.json()["field"] == field
    assert (await site.http.get("/api/v1/datasets?mine=1")).status_code == 401


async def test_private_means_private_on_every_route(site: Site, mei: Member, outside: Outside) -> None:
    secret = "Unobtainium hydride"
    made = await mei.publish(b"secret bytes", name=secret, authors=["Dr. Secret"], private=True, description=secret)
    ref = DatasetRef(dataset_id=made["id"], version=1)
    picture = await site.base.blobs.put_bytes("metric/x/parity-force.svg", b"<svg/>")
    judged = await site.base.blobs.put_model("metric/x/report.json", report(ref, {"parity-force.svg": picture}))
    round_id = uuid4()
    await outside.say(validated(ref))
    await outside.say(passed(ref, judged))

    path = f"/api/v1/datasets/{made['id']}"
    eve = await site.join("eve")

    async def waits() -> bool:
        return bool((await mei.request("GET", path)).json()["state"] == "passed")

    await eventually(waits)
    queue_while_waiting = (await site.http.get("/api/v1/queue")).json()
    await outside.say(queued(round_id, ref))
    await outside.say(started(round_id))

    async def trains() -> bool:
        return bool((await mei.request("GET", path)).json()["state"] == "training")

    await eventually(trains)
    queue_while_training = (await site.http.get("/api/v1/queue")).json()
    await outside.say(published(round_id, None))

    async def is_published() -> bool:
        return bool((await mei.request("GET", path)).json()["model"] == "1.1")

    await eventually(is_published)

    routes = (path, f"{path}/archive", f"{path}/pictures/parity-force.svg", f"{path}/events")
    for route in routes:
        nobody = await site.http.get(route)
        other = await eve.request("GET", route)
        unknown = await eve.request("GET", route.replace(made["id"], str(uuid4())))
        assert nobody.status_code == other.status_code == unknown.status_code == 404, route
        assert other.json() == unknown.json(), "what is hidden must look like what is not there"
        assert (await site.http.head(route)).status_code == 404
    assert (await mei.request("GET", f"{path}/archive")).content == b"secret bytes"
    shown = await mei.request("GET", f"{path}/pictures/parity-force.svg")
    assert shown.content == b"<svg/>"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"].startswith("private")

    assert queue_while_waiting["train"][0]["name"] == "a private contribution"
    assert queue_while_waiting["train"][0]["url"] is None
    assert queue_while_training["rounds"][0]["datasets"][0]["name"] == "a private contribution"
    everything = [queue_while_waiting, queue_while_training]
    for public in ("/api/v1/datasets", "/api/v1/queue", "/api/v1/models", "/api/v1/models/1.1"):
        everything.append((await site.http.get(public)).json())
        everything.append((await eve.request("GET", public)).json())
    told = json.dumps(everything)
    for word in (secret, "Dr. Secret", made["id"], "secret bytes"):
        assert word not in told
    assert "a private contribution" in told


async def test_the_owner_sees_their_own_name_in_the_queue(mei: Member) -> None:
    made = await mei.publish(private=True)
    queue = (await mei.request("GET", "/api/v1/queue")).json()
    assert queue["check"][0]["name"] == made["name"]
    assert queue["check"][0]["url"] == made["url"]


async def test_places_in_the_queue_move_up(site: Site, mei: Member, outside: Outside) -> None:
    first, second = await mei.publish(b"1"), await mei.publish(b"2")
    assert first["queue"] == place("check", 1)
    assert second["queue"] == place("check", 2)
    ref = DatasetRef(dataset_id=first["id"], version=1)
    judged = await site.base.blobs.put_model("metric/x/report.json", report(ref, {}))
    await outside.say(passed(ref, judged))

    async def moved() -> bool:
        view = (await site.http.get(f"/api/v1/datasets/{second['id']}")).json()
        return bool(view["queue"] == place("check", 1))

    await eventually(moved)
    waiting = (await site.http.get(f"/api/v1/datasets/{first['id']}")).json()
    assert waiting["queue"] == place("train", 1)
