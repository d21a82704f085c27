"""The life of an entry: shared only, versions, made public, withdrawn, cited; and nobody else's business."""

import asyncio
from importlib import resources
from uuid import uuid4

import yaml  # type: ignore[import-untyped]
from contracts.artifacts import CompositionCount, DatasetManifest, Histogram, PreviewStructure
from contracts.base import DatasetRef, ElementCount, LevelOfTheory
from contracts.events import (
    DatasetLookedInto,
    DatasetMadePublic,
    DatasetRejected,
    DatasetShared,
    DatasetUploaded,
    DatasetWithdrawn,
)
from gateway_bench import Member, Outside, Site, entry, eventually, heard
from gateway_examples import blob, passed, published, queued, report, validated
from gateway_views import handled, shared_only, take, watching

AGREED = {"agreement": True}


async def test_what_is_shared_only_has_an_entry_and_no_pipeline(site: Site, mei: Member, outside: Outside) -> None:
    upload_id = await mei.upload(b"an archive")
    body = {key: value for key, value in entry(upload_id).items() if key != "format"} | {"dpa": False}
    made = await mei.request("POST", "/api/v1/datasets", json=body)
    assert made.status_code == 201, made.text
    shared = made.json()
    assert (shared["stage"], shared["state"], shared["dpa"], shared["queue"]) == ("done", "shared", False, None)
    # Everybody may cite it at once; nobody waits for it.
    assert (await site.http.get(f"/api/v1/datasets/{shared['id']}/citation")).status_code == 200
    assert (await site.http.get("/api/v1/queue")).json()["check"] == []
    assert await heard(outside, DatasetUploaded, 0) == []
    (looked_for,) = await heard(outside, DatasetShared, 1)
    assert (looked_for.dataset, looked_for.filename) == (DatasetRef(dataset_id=shared["id"], version=1), "data.zip")
    assert await site.base.blobs.get_bytes(looked_for.archive.key) == b"an archive"
    # Its next version may join.
    again = await mei.publish(b"another archive", dataset_id=shared["id"])
    assert (again["id"], again["version"], again["dpa"], again["state"]) == (shared["id"], 2, True, "uploaded")
    (told,) = await heard(outside, DatasetUploaded, 1)
    assert told.dataset == DatasetRef(dataset_id=shared["id"], version=2)
    await heard(outside, DatasetShared, 1)


async def test_others_may_download_what_is_shared_only_once_it_was_looked_into(
    site: Site, mei: Member, outside: Outside
) -> None:
    dataset = await shared_only(mei)
    path = f"/api/v1/datasets/{dataset.dataset_id}"
    eve = await site.join("eve")
    for path_ in (f"{path}/archive", f"{path}/archive?version=1"):
        assert (await mei.request("GET", path_)).content == b"an archive"
        assert (await eve.request("GET", path_)).status_code == 404
        assert (await site.http.get(path_)).status_code == 404
    before = (await eve.request("GET", path)).json()
    assert (before["state"], before["looked_into"], before["download"]) == ("shared", False, None)
    assert (await mei.request("GET", path)).json()["download"]["url"] == f"{path}/archive?version=1"
    async with watching(site, dataset) as stream:
        await take(stream, 1)
        await handled(site, outside, DatasetLookedInto(dataset=dataset))
        (told,) = await take(stream, 1)
    assert told.data["looked_into"] is True
    assert told.data["download"]["filename"] == "data.zip"
    for who in (mei, eve):
        shown = (await who.request("GET", path)).json()
        assert (shown["state"], shown["looked_into"], shown["download"]["removed"]) == ("shared", True, [])
        assert (await who.request("GET", f"{path}/archive")).content == b"an archive"
    assert await heard(outside, DatasetUploaded, 0) == []


async def test_of_what_is_shared_only_the_cleaned_archive_is_offered_to_everybody(
    site: Site, mei: Member, outside: Outside
) -> None:
    dataset = await shared_only(mei)
    path = f"/api/v1/datasets/{dataset.dataset_id}"
    cleaned = await site.base.blobs.put_bytes("shared/x/archive-1.tar.zst", b"without the POTCAR")
    await handled(site, outside, DatasetLookedInto(dataset=dataset, download=cleaned, removed=("run1/POTCAR",)))
    for who in (mei, await site.join("eve")):
        offered = (await who.request("GET", path)).json()["download"]
        assert (offered["removed"], offered["sha256"]) == (["run1/POTCAR"], cleaned.sha256)
        answer = await who.request("GET", f"{path}/archive")
        assert answer.content == b"without the POTCAR"
        assert 'filename="data-shared.tar.zst"' in answer.headers["content-disposition"]


async def test_of_what_cannot_be_opened_nothing_is_offered_to_others(site: Site, mei: Member, outside: Outside) -> None:
    dataset = await shared_only(mei)
    path = f"/api/v1/datasets/{dataset.dataset_id}"
    refusal = DatasetRejected(
        dataset=dataset,
        rule="archive-encrypted",
        reason="a/OUTCAR is encrypted",
        remedy="Pack it again without a password.",
    )
    await handled(site, outside, refusal)
    shown = (await site.http.get(path)).json()
    assert (shown["stage"], shown["state"], shown["verdict"]) == ("done", "rejected", "rejected")
    assert (shown["message"]["reason"], shown["download"]) == (refusal.reason, None)
    assert (await site.http.get(f"{path}/archive")).status_code == 404
    assert (await mei.request("GET", f"{path}/archive")).content == b"an archive"


async def test_what_was_shared_only_before_anybody_looked_is_told_by_the_migration(
    site: Site, mei: Member, outside: Outside
) -> None:
    dataset = await shared_only(mei)
    await mei.publish(b"joins")
    withdrawn = await shared_only(mei)
    path = f"/api/v1/datasets/{withdrawn.dataset_id}/withdrawal"
    assert (await mei.request("POST", path, json={})).status_code == 200
    (of_first, _) = await heard(outside, DatasetShared, 2)
    migration = resources.files("gateway") / "migrations/0017_looked_into.sql"
    telling = migration.read_text().partition("insert into")
    async with site.base.database.transaction() as connection:
        await connection.execute("".join(telling[1:]))
    *_, told = await heard(outside, DatasetShared, 3)
    assert told == of_first
    assert told.dataset == dataset


async def test_versions_are_the_owners_to_add_and_each_has_its_own_archive(site: Site, mei: Member) -> None:
    first = await mei.publish(b"one")
    eve = await site.join("eve")
    stolen = await eve.request(
        "POST", "/api/v1/datasets", json=entry(await eve.upload(b"evil")) | {"dataset_id": first["id"]}
    )
    assert (stolen.status_code, stolen.json()["field"]) == (422, "dataset_id")
    second = await mei.publish(b"two", dataset_id=first["id"], name="SiC, corrected")
    path = f"/api/v1/datasets/{first['id']}"
    assert (await mei.request("GET", path)).json()["version"] == 2
    old = (await mei.request("GET", f"{path}?version=1")).json()
    assert (old["version"], old["newer"], old["name"]) == (1, 2, "SiC, 300 to 2000 K")
    assert (await mei.request("GET", f"{path}/archive?version=1")).content == b"one"
    assert (await mei.request("GET", f"{path}/archive")).content == b"two"
    past = (await mei.request("GET", f"{path}/history")).json()
    assert [one["version"] for one in past["versions"]] == [2, 1]
    assert [one["what"] for one in past["activity"]] == ["uploaded"]
    assert [(one["act"], one["agreement"], one["language"]) for one in past["consents"]] == [
        ("publish", "2026-11", "en")
    ]
    assert (await site.http.get(f"{path}/history")).json()["consents"] == []
    assert (await mei.request("GET", "/api/v1/datasets")).json()["total"] == 1
    assert second["newer"] is None
    for wrong in ("0", "3", "x", "1e9", "999999999"):
        assert (await mei.request("GET", f"{path}?version={wrong}")).status_code in (404, 422)


async def test_versions_that_come_at_once_get_numbers_of_their_own(mei: Member) -> None:
    first = await mei.publish(b"one")
    uploads = [await mei.upload(str(number).encode()) for number in range(4)]
    answers = await asyncio.gather(
        *(mei.request("POST", "/api/v1/datasets", json=entry(one) | {"dataset_id": first["id"]}) for one in uploads)
    )
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5]


async def test_two_tabs_publish_one_draft_once(mei: Member) -> None:
    body = entry(await mei.upload(b"an archive"))
    answers = await asyncio.gather(*(mei.request("POST", "/api/v1/datasets", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert (await mei.request("GET", "/api/v1/datasets?mine=1")).json()["total"] == 1


async def test_a_private_dataset_is_made_public_once(site: Site, mei: Member, outside: Outside) -> None:
    made = await mei.publish(private=True, description="")
    path = f"/api/v1/datasets/{made['id']}"
    eve = await site.join("eve")
    assert (await eve.request("POST", f"{path}/public", json=AGREED)).status_code == 404
    assert (await site.http.post(f"{path}/public", json=AGREED)).status_code == 401
    for wrong, field in (({}, "agreement"), (AGREED | {"licence": "MIT"}, "licence"), (AGREED | {"x": 1}, "x")):
        answer = await mei.request("POST", f"{path}/public", json=wrong)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert (await site.http.get(path)).status_code == 404
    said = AGREED | {
        "licence": "CC0-1.0",
        "authors": [{"name": "Mei Lin", "orcid": "0000-0002-1825-0097"}],
        "description": "Now **public**.",
    }
    for _ in range(2):
        answer = await mei.request("POST", f"{path}/public", json=said, headers={"accept-language": "zh-CN"})
        assert answer.status_code == 200, answer.text
    shown = (await site.http.get(path)).json()
    assert (shown["licence"], shown["authors"], shown["orcids"]) == (
        "CC0-1.0",
        ["Mei Lin"],
        {"Mei Lin": "0000-0002-1825-0097"},
    )
    assert shown["made_public"] is not None
    (event,) = await heard(outside, DatasetMadePublic, 1)
    assert event.dataset == DatasetRef(dataset_id=made["id"], version=1)
    assert (event.credit.licence, event.credit.private) == ("CC0-1.0", False)
    consents = (await mei.request("GET", f"{path}/history")).json()["consents"]
    assert [(one["act"], one["language"]) for one in consents] == [("publish", "en"), ("make-public", "zh")]


async def test_an_earlier_private_version_stays_private(site: Site, mei: Member) -> None:
    made = await mei.publish(b"one", private=True)
    await mei.publish(b"two", dataset_id=made["id"])
    path = f"/api/v1/datasets/{made['id']}"
    assert (await site.http.get(path)).json()["version"] == 2
    for private in ("?version=1", "/archive?version=1", "/citation?version=1", "/structures?version=1"):
        assert (await site.http.get(f"{path}{private}")).status_code == 404, private
    assert [one["version"] for one in (await site.http.get(f"{path}/history")).json()["versions"]] == [2]


async def test_a_withdrawn_dataset_gives_nothing_out_and_waits_for_nothing(
    site: Site, mei: Member, outside: Outside
) -> None:
    made = await mei.publish(b"one")
    ref = DatasetRef(dataset_id=made["id"], version=1)
    path = f"/api/v1/datasets/{made['id']}"
    pictures = {"parity-force.svg": await site.base.blobs.put_bytes("metric/x/parity-force.svg", b"<svg/>")}
    stored = await site.base.blobs.put_model("metric/x/report.json", report(ref, pictures))
    await outside.say(validated(ref))
    await outside.say(passed(ref, stored))
    await eventually(lambda: _is(mei, path, "passed"))
    eve = await site.join("eve")
    assert (await eve.request("POST", f"{path}/withdrawal", json={})).status_code == 404
    assert (await site.http.post(f"{path}/withdrawal", json={})).status_code == 401
    assert (await mei.request("POST", f"{path}/withdrawal", json={"reason": 7})).json()["field"] == "reason"
    for _ in range(2):
        answer = await mei.request("POST", f"{path}/withdrawal", json={"reason": "wrong functional"})
        assert answer.status_code == 200, answer.text
    (event,) = await heard(outside, DatasetWithdrawn, 1)
    assert (event.dataset, event.reason) == (ref, "wrong functional")
    for who in (mei, eve):
        shown = (await who.request("GET", path)).json()
        assert (shown["stage"], shown["state"], shown["download"]) == ("done", "withdrawn", None)
        assert "wrong functional" not in str(shown)
        for file in ("archive", "pictures/parity-force.svg", "metric", "structures", "tables/frames.csv"):
            assert (await who.request("GET", f"{path}/{file}")).status_code == 410, file
        assert (await who.request("GET", f"{path}/citation")).status_code == 404
    assert (await site.http.get("/api/v1/queue")).json()["train"] == []
    assert (await eve.request("GET", "/api/v1/datasets")).json()["total"] == 0
    assert (await mei.request("GET", "/api/v1/datasets?mine=1")).json()["total"] == 1
    # Facts that were on their way change nothing, and there is no way back.
    await outside.say(queued(uuid4(), ref))
    await asyncio.sleep(0.3)
    assert await _is(mei, path, "withdrawn")
    late = await mei.request(
        "POST", "/api/v1/datasets", json=entry(await mei.upload(b"2")) | {"dataset_id": made["id"]}
    )
    assert (late.status_code, late.json()["field"]) == (422, "dataset_id")


async def _is(who: Member, path: str, state: str) -> bool:
    return bool((await who.request("GET", path)).json()["state"] == state)


async def test_structures_and_what_happened(site: Site, mei: Member, outside: Outside) -> None:
    made = await mei.publish()
    ref = DatasetRef(dataset_id=made["id"], version=1)
    path = f"/api/v1/datasets/{made['id']}"
    assert (await site.http.get(f"{path}/structures")).status_code == 404
    stored = await site.base.blobs.put_model("datasets/x/manifest.json", manifest(ref))
    counts = (ElementCount(symbol="C", atoms=400, frames=100), ElementCount(symbol="Si", atoms=400, frames=100))
    await outside.say(validated(ref).model_copy(update={"manifest": stored, "element_counts": counts}))
    report_ref = await site.base.blobs.put_model("metric/x/report.json", report(ref, {}))
    await outside.say(passed(ref, report_ref))
    round_id = uuid4()
    await outside.say(queued(round_id, ref))
    await outside.say(published(round_id, ref, version="1.1"))
    await eventually(lambda: _is(mei, path, "published"))
    found = (await site.http.get(f"{path}/structures")).json()
    assert found["structures"][0]["symbols"] == ["Si", "C"]
    assert found["compositions"] == [{"formula": "CSi", "frames": 100}]
    assert (await site.http.get(path)).json()["ingest"]["element_counts"][0]["atoms"] == 400
    past = (await site.http.get(f"{path}/history")).json()
    assert past["models"] == ["1.1"]
    assert [one["what"] for one in past["activity"]] == ["trained", "queued", "passed", "read", "uploaded"]


def manifest(ref: DatasetRef) -> DatasetManifest:
    flat = Histogram(edges=(0, 1), counts=(100,))
    return DatasetManifest(
        dataset=ref,
        content_sha256="0" * 64,
        train=None,
        held_out=blob("held-out.mdb"),
        frames=100,
        train_frames=80,
        held_out_frames=20,
        duplicate_frames=0,
        atoms=800,
        elements=("C", "Si"),
        compositions=(CompositionCount(formula="CSi", frames=100),),
        has_virial=True,
        level_of_theory=LevelOfTheory(),
        format="vasp/outcar",
        set_aside=(),
        energy_per_atom_ev=flat,
        force_component_ev_per_angstrom=flat,
        preview=(PreviewStructure(symbols=("Si", "C"), positions=((0, 0, 0), (1.1, 1.1, 1.1)), cell=None, frame=0),),
        versions={},
    )


async def test_public_datasets_are_cited(site: Site, mei: Member) -> None:
    author = {"name": "Mei Lin", "orcid": "0000-0002-1825-0097"}
    made = await mei.publish(authors=[author, "J. Doe"])
    path = f"/api/v1/datasets/{made['id']}/citation"
    bibtex = await site.http.get(path)
    assert bibtex.headers["content-type"].startswith("application/x-bibtex")
    assert "{Mei Lin} and {J. Doe}" in bibtex.text
    cff = yaml.safe_load((await site.http.get(f"{path}?format=cff")).text)
    assert cff["authors"][0] == {"name": "Mei Lin", "orcid": "https://orcid.org/0000-0002-1825-0097"}
    assert cff["url"] == f"{site.url}/datasets/{made['id']}?version=1"
    assert (await site.http.get(f"{path}?format=word")).status_code == 422
    datacite = (await site.http.get(f"{path}?format=datacite")).json()["data"]["attributes"]
    assert [one["name"] for one in datacite["creators"]] == ["Mei Lin", "J. Doe"]
    crate = await site.http.get(f"/api/v1/datasets/{made['id']}/ro-crate?version=1")
    assert crate.headers["content-disposition"] == 'attachment; filename="ro-crate-metadata.json"'
    graph = {one["@id"]: one for one in crate.json()["@graph"]}
    assert graph["./"]["url"] == cff["url"]
    hidden = await mei.publish(b"2", private=True)
    for export in ("citation", "citation?format=datacite", "ro-crate"):
        assert (await mei.request("GET", f"/api/v1/datasets/{hidden['id']}/{export}")).status_code == 404


async def test_licences_and_the_agreement_are_there_to_read(site: Site) -> None:
    licences = (await site.http.get("/api/v1/licences")).json()["licences"]
    assert [one["id"] for one in licences] == ["CC-BY-4.0", "CC0-1.0", "CC-BY-NC-4.0"]
    english = (await site.http.get("/api/v1/agreement")).json()
    chinese = (await site.http.get("/api/v1/agreement", headers={"accept-language": "zh"})).json()
    assert (english["version"], chinese["language"]) == ("2026-11", "zh")
    assert english["sha256"] != chinese["sha256"]
