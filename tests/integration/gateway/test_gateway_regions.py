"""Two regions, each with a gateway: bytes go where their region is, and come from there or from the mirror."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from contracts.events import DatasetUploaded
from gateway_bench import PIECE, TUS, Member, Outside, Site, entry, serving_site
from kit.blobs import Blobs
from nats.js.api import DeliverPolicy

REGION_EAST = "filename ZGF0YS56aXA=,region ZWFzdA=="  # data.zip, east
CROSS_SITE = {"Origin": "https://site.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
async def west_and_east(
    gateway_env: dict[str, str], tmp_path: Path, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Site, Site]]:
    """The site itself is west, and its storage is the one that all services share."""
    east_address = f"127.0.0.1:{unused_port}"
    regions = [
        {
            "id": "west",
            "title": "West",
            "store_url": gateway_env["POTLUCK_GATEWAY_BLOBS_URL"],
            "upload_url": f"http://{gateway_env['POTLUCK_GATEWAY_ADDRESS']}",
        },
        {
            "id": "east",
            "title": "East",
            "store_url": (tmp_path / "east").as_uri(),
            "upload_url": f"http://{east_address}",
        },
    ]
    west_env = gateway_env | {"POTLUCK_GATEWAY_REGIONS": json.dumps(regions)}
    async with serving_site(west_env, monkeypatch) as west:
        east_env = west_env | {
            "POTLUCK_GATEWAY_REGION": "east",
            "POTLUCK_GATEWAY_ADDRESS": east_address,
            "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming-east"),
        }
        async with serving_site(east_env, monkeypatch) as east:
            yield west, east


async def begin(mei: Member, size: int) -> str:
    made = await mei.request(
        "POST", "/api/v1/uploads", headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": REGION_EAST}
    )
    assert made.status_code == 201, made.text
    return made.headers["location"]


async def test_bytes_go_to_their_region_and_come_from_there_or_from_the_mirror(
    west_and_east: tuple[Site, Site], outside: Outside, tmp_path: Path
) -> None:
    west, east = west_and_east
    mei = await west.join("mei")
    location = await begin(mei, 10)
    assert location.startswith(f"{east.url}/api/v1/uploads/")
    # As the page sends it: another origin, no cookie, no token but the ticket in the address.
    first = await east.http.patch(location, headers={**PIECE, **CROSS_SITE, "Upload-Offset": "0"}, content=b"an ar")
    assert (first.status_code, first.headers["access-control-allow-origin"]) == (204, "*")
    assert "Upload-Offset" in first.headers["access-control-expose-headers"]
    (waiting,) = (await mei.request("GET", "/api/v1/uploads")).json()["uploads"]
    assert (waiting["received"], waiting["region"]) == (5, "east")
    unfinished = await mei.request("POST", "/api/v1/datasets", json=entry(waiting["id"]) | {"dpa": False})
    assert (unfinished.status_code, unfinished.json()["detail"]) == (422, "5 B of 10 B have arrived.")
    stands = await east.http.head(location, headers=TUS)
    assert stands.headers["upload-offset"] == "5"
    rest = await east.http.patch(location, headers={**PIECE, "Upload-Offset": "5"}, content=b"chive")
    assert rest.headers["upload-offset"] == "10"

    made = await mei.request("POST", "/api/v1/datasets", json=entry(waiting["id"]))
    assert made.status_code == 201, made.text
    assert made.json()["region"] == "east"
    subscription = await outside.jetstream.subscribe(
        DatasetUploaded.nats_subject, ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
    )
    event = DatasetUploaded.model_validate_json((await subscription.next_msg(timeout=30)).data)
    store = Blobs((tmp_path / "east").as_uri())
    # Services read it where they read everything; that copy is the mirror.
    for one in (store, west.base.blobs):
        assert await one.get_bytes(event.archive.key) == b"an archive"

    path = f"/api/v1/datasets/{made.json()['id']}/archive"
    for lost, left in ((west.base.blobs, store), (store, west.base.blobs)):
        kept = await lost.get_bytes(event.archive.key)
        await lost.delete(event.archive.key)
        assert (await mei.request("GET", path)).content == await left.get_bytes(event.archive.key)
        await lost.put_bytes(event.archive.key, kept)


async def test_a_ticket_is_for_one_upload_and_nothing_else_crosses_origins(
    west_and_east: tuple[Site, Site],
) -> None:
    west, east = west_and_east
    mei = await west.join("mei")
    location, other = await begin(mei, 4), await begin(mei, 4)
    forged = location.partition("?")[0] + "?" + other.partition("?")[2]
    for address in (forged, location.partition("?")[0] + "?ticket=", location.partition("?")[0] + "?ticket=x"):
        answer = await east.http.patch(address, headers={**PIECE, "Upload-Offset": "0"}, content=b"data")
        assert answer.status_code == 404, address
    plain = location.partition("?")[0]
    assert (await east.http.head(plain, headers=TUS)).status_code == 401
    cross = await east.http.patch(plain, headers={**PIECE, **CROSS_SITE, "Upload-Offset": "0"}, content=b"data")
    assert cross.status_code == 403
    # A ticket is no account.
    assert (await east.http.get(f"/api/v1/uploads?{location.partition('?')[2]}")).status_code == 401
    here = await mei.request("PATCH", location.replace(east.url, ""), headers={**PIECE, "Upload-Offset": "0"})
    assert (here.status_code, here.json()["type"]) == (409, "urn:potluck:problem:another-region")
    gone = await east.http.delete(location, headers=TUS)
    assert gone.status_code == 204
    assert (await east.http.head(location, headers=TUS)).status_code == 404


async def test_what_pages_of_another_origin_ask(west_and_east: tuple[Site, Site]) -> None:
    west, east = west_and_east
    told = (await west.http.get("/api/v1/regions")).json()["regions"]
    assert [(one["id"], one["title"]) for one in told] == [("west", "West"), ("east", "East")]
    assert told[0]["probe_url"] == "/api/v1/regions/probe"
    probe = await west.http.get(told[1]["probe_url"], headers=CROSS_SITE)
    assert (probe.status_code, probe.headers["access-control-allow-origin"]) == (204, "*")
    assert "access-control-allow-credentials" not in probe.headers
    allowed = await east.http.options(
        "/api/v1/uploads/0193a3f0-0000-7000-8000-000000000001?ticket=x", headers=CROSS_SITE
    )
    assert "PATCH" in allowed.headers["access-control-allow-methods"]
    assert "Upload-Offset" in allowed.headers["access-control-allow-headers"]
    policy = (await west.http.get("/api/v1/regions")).headers["content-security-policy"]
    assert f"connect-src 'self' {east.url};" in policy


async def test_a_region_that_there_is_not(west_and_east: tuple[Site, Site]) -> None:
    west, _ = west_and_east
    mei = await west.join("mei")
    headers = {**TUS, "Upload-Length": "4", "Upload-Metadata": "filename ZGF0YS56aXA=,region bW9vbg=="}
    answer = await mei.request("POST", "/api/v1/uploads", headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "region")


async def test_a_note_that_was_lost_after_the_last_byte_is_found_again(
    west_and_east: tuple[Site, Site],
) -> None:
    """The gateway of the east died between storing the archive and saying so."""
    west, east = west_and_east
    mei = await west.join("mei")
    location = await begin(mei, 10)
    await east.http.patch(location, headers={**PIECE, "Upload-Offset": "0"}, content=b"an archive")
    upload_id = location.partition("?")[0].rsplit("/", 1)[1]
    async with west.base.database.transaction() as connection:
        await connection.execute("update uploads set sha256 = null")
    answers: list[Any] = await asyncio.gather(
        *(mei.request("POST", "/api/v1/datasets", json=entry(upload_id)) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
