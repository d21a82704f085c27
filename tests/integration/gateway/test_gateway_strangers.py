"""Private means private: every route there is, asked by a stranger and by another account with the owner's ids."""

import re
from collections.abc import AsyncIterator, Iterable
from uuid import UUID, uuid4

import httpx
import pytest
from contracts.artifacts import MetricReport
from contracts.base import DatasetRef
from gateway import api, pages
from gateway_bench import PASSWORD, Member, Outside, Site, eventually, serving_site
from gateway_examples import blob, finished, passed, progress, published, queued, started, validated
from report_examples import everything
from starlette.routing import BaseRoute, Route

SECRETS = ("Zweifeldite", "Nobody Knows", "hushhush", "secret-branch")
PICTURE = b"<svg><title>Frames</title><text>hushhush</text></svg>"
ARCHIVE = b"hushhush: what the archive holds"


@pytest.fixture
async def site(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as served:
        yield served


def routes(found: Iterable[BaseRoute]) -> Iterable[tuple[str, str]]:
    """Every method and path, templates as they are; files under /static are the same for everybody."""
    for route in found:
        if isinstance(route, Route):
            for method in sorted(route.methods or ()):
                yield method, route.path


def filled(template: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: ids.get(match[1], str(uuid4())), template)


async def private_dataset(site: Site, owner: Member, outside: Outside) -> dict[str, str]:
    """One that has been all the way: checked with pictures, trained, in a model."""
    entry = await owner.publish(
        ARCHIVE, name="Zweifeldite under pressure", authors=["Nobody Knows"], description="hushhush", private=True
    )
    ref = DatasetRef(dataset_id=UUID(entry["id"]), version=1)
    picture = await site.base.blobs.put_bytes("metric/x/parity-force.svg", PICTURE)
    table = await site.base.blobs.put_bytes("metric/x/frames.csv", b"hushhush")
    report = MetricReport.model_validate(
        everything_of(ref) | {"pictures": {"parity-force.svg": picture}, "tables": {"frames.csv": table}}
    )
    stored = await site.base.blobs.put_model("metric/x/report.json", report)
    round_id = uuid4()
    credit = validated(ref).credit.model_copy(
        update={"title": "Zweifeldite under pressure", "authors": ("Nobody Knows",), "private": True}
    )
    in_training = queued(round_id, ref).model_copy(update={"branches": {str(ref): "secret-branch"}})
    for event in (
        validated(ref).model_copy(update={"credit": credit}),
        passed(ref, stored).model_copy(update={"credit": credit}),
        in_training,
        started(round_id),
        progress(round_id, 10, 100.0),
        finished(round_id),
        published(round_id, None),
    ):
        await outside.say(event)

    async def stands() -> bool:
        told = await owner.request("GET", f"/api/v1/datasets/{entry['id']}")
        return bool(told.json()["state"] == "published")

    await eventually(stands)
    return {"dataset_id": entry["id"], "name": "parity-force.svg", "version": "1.1"}


def everything_of(ref: DatasetRef) -> dict[str, object]:
    rule = {"passed": True, "sentence": "hushhush"}
    return {
        "dataset": ref,
        "run_id": uuid4(),
        "model_version": "1.0",
        "frames_judged": 1,
        "sound": rule | {"rule": "sound"},
        "new": rule | {"rule": "new"},
        "checks": (),
        "coverage": 0.1,
        "threshold_ev_per_angstrom": 0.1,
        "branches": (),
        "nearest_branch": None,
        "energy_shift_ev": {},
        "new_elements": (),
        "parity": (),
        "max_force_error_histogram": None,
        "verdicts": (),
        "pictures": {"x": blob("x")},
        "settings": {},
        "versions": {},
    } | everything()


async def asked(client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status, body and headers. Of a live stream, which does not end, the first event."""
    body = b""
    sent: dict[str, object] = {}
    if method not in ("GET", "HEAD"):
        sent = {"json": {}} if path.startswith("/api/") else {"data": {}}
    request = client.stream(method, path, headers=headers, **sent)  # type: ignore[arg-type]
    async with request as answer:
        live = answer.headers.get("content-type", "").startswith("text/event-stream")
        async for chunk in answer.aiter_bytes():
            body += chunk
            if live and b"data:" in body and body.endswith(b"\n\n"):
                break
        answer.headers.pop("date", None)
        return answer.status_code, body.decode(errors="replace") + str(answer.headers)


async def test_no_route_tells_a_stranger_or_another_account(
    site: Site, outside: Outside, capfd: pytest.CaptureFixture[str]
) -> None:
    owner = await site.join("owner")
    ids = await private_dataset(site, owner, outside)
    await site.http.post("/api/v1/accounts", json={"email": "eve@example.org", "name": "Eve", "password": PASSWORD})
    eve = await site.http.post("/api/v1/sessions", json={"email": "eve@example.org", "password": PASSWORD})
    cookie = {"cookie": eve.headers["set-cookie"].partition(";")[0]}
    site.http.cookies.clear()
    every = [*routes(api.routes()), *routes(pages.routes())]
    assert len(every) > 50
    seen_by_owner = 0
    for method, template in every:
        path = filled(template, ids)
        if template in ("/api/v1/sessions/current", "/sign-out") or method == "HEAD":
            continue
        for who in ({}, cookie):
            accept = "application/json" if path.startswith("/api/") else "text/html"
            status, body = await asked(site.http, method, path, who | {"accept": accept})
            assert status < 500 or "Not quite ready" in body, (method, path, body)  # no other service has said anything
            for secret in SECRETS:
                assert secret not in body, (method, path, who, secret)
            if "{dataset_id" in template:
                # 422: it does not come to a look at the dataset.
                assert status in (303, 401, 404, 422), (method, path, who, status)
                assert status != 303 or "/sign-in" in body, (method, path)
                # Nor does the answer tell that there is something: it is that of an id which nobody has.
                nobody = str(uuid4())
                empty = filled(template, ids | {"dataset_id": nobody})
                other, nothing = await asked(site.http, method, empty, who | {"accept": accept})
                assert (status, body.replace(ids["dataset_id"], nobody)) == (other, nothing), (method, template)
        if method == "GET" and "{dataset_id" in template:
            _, body = await asked(site.http, method, path, owner.headers | {"accept": "application/json"})
            seen_by_owner += any(secret in body for secret in SECRETS)
    # What a stranger does not see is there to be seen: the owner sees it on these routes.
    assert seen_by_owner >= 5
    logged = capfd.readouterr()
    for secret in SECRETS:
        assert secret not in logged.out + logged.err, secret


async def test_pictures_are_given_in_the_language_that_is_asked_for(site: Site, outside: Outside) -> None:
    """What the metric stored, to readers of English; a private one to its owner alone."""
    owner = await site.join("owner")
    ids = await private_dataset(site, owner, outside)
    path = f"/datasets/{ids['dataset_id']}/pictures/parity-force.svg"
    for language, given in (("en", PICTURE), ("zh", PICTURE.replace(b"Frames", "帧数".encode()))):
        answer = await owner.request("GET", f"{path}?lang={language}")
        assert (answer.status_code, answer.content) == (200, given)
        assert answer.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "private" in answer.headers["cache-control"]
        kept = await owner.request("GET", f"{path}?lang={language}", headers={"if-none-match": answer.headers["etag"]})
        assert kept.status_code == 304
    assert (await owner.request("GET", path.replace("parity-force", "map"))).status_code == 404
    assert (await owner.request("GET", "/datasets/none/pictures/parity-force.svg")).status_code == 404
    assert (await site.http.get(f"{path}?lang=zh")).status_code in (303, 404)


async def test_an_upload_is_its_owners(site: Site) -> None:
    owner, eve = await site.join("owner"), await site.join("eve")
    location = await owner.begin(4)
    for who in ({}, eve.headers):
        for method in ("HEAD", "PATCH", "DELETE"):
            headers = who | {"tus-resumable": "1.0.0", "upload-offset": "0"}
            headers |= {"content-type": "application/offset+octet-stream"} if method == "PATCH" else {}
            answer = await site.http.request(method, location, headers=headers)
            assert answer.status_code == (404 if who else 401), (method, answer.text)
    still = await owner.request("HEAD", location, headers={"tus-resumable": "1.0.0"})
    assert still.status_code == 200
    upload_id = location.rsplit("/", 1)[1]
    stolen = await eve.request("POST", "/api/v1/datasets", json={"upload_id": upload_id, "name": "mine"})
    assert stolen.status_code in (404, 422)
