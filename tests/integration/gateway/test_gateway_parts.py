"""Parts that arrive side by side become one upload: its bytes, its hash, and what keeps strangers and mistakes out."""

import asyncio
import base64
import hashlib
import itertools
import os
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from gateway.store import Store
from gateway.uploads.appending import Appender
from gateway.uploads.regions import Regions
from gateway.uploads.spool import Spool
from gateway.uploads.upload_file import UploadFile
from gateway.uploads.uploads import Uploads
from gateway_bench import PIECE, TUS, Member, Site, entry, eventually, serving_site

DATA = os.urandom(3 << 20)
CUTS = (0, 1_000_000, 1_700_000, len(DATA))
UPLOADS = "/api/v1/uploads"


def named(**values: str) -> dict[str, str]:
    packed = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
    return {"Upload-Metadata": packed}


async def part(member: Member, data: bytes, place: str | None = None, *, sent: int | None = None) -> str:
    """The address of a part of which `sent` bytes have arrived; all of them without it."""
    headers = {"Upload-Concat": "partial"} | named(filename="si.tar", **({"part": place} if place else {}))
    location = await member.begin(len(data), **headers)
    content = data if sent is None else data[:sent]
    answer = await member.request("PATCH", location, headers={**PIECE, "Upload-Offset": "0"}, content=content)
    assert answer.status_code == 204, answer.text
    return location


async def parts(member: Member, *, told: bool = True) -> list[str]:
    count = len(CUTS) - 1
    spans = list(itertools.pairwise(CUTS))
    found = [
        await part(member, DATA[start:end], f"{number}/{count}" if told else None)
        for number, (start, end) in reversed(list(enumerate(spans, 1)))
    ]
    return found[::-1]


async def join(member: Member, locations: list[str], **headers: str) -> httpx.Response:
    final = {**TUS, "Upload-Concat": "final;" + " ".join(locations)}
    return await member.request("POST", UPLOADS, headers=final | headers)


async def joined(member: Member, location: str) -> httpx.Headers:
    """What HEAD tells when it is ready."""

    async def ready() -> httpx.Headers | None:
        answer = await member.request("HEAD", location, headers=TUS)
        assert answer.status_code == 200
        return answer.headers if "upload-offset" in answer.headers else None

    found: httpx.Headers = await eventually(ready)
    return found


def folder() -> Path:
    return Path(os.environ["POTLUCK_GATEWAY_UPLOADS_FOLDER"])


@pytest.mark.parametrize("told", [True, False], ids=["places told", "places not told"])
async def test_parts_become_one_upload_with_the_hash_of_the_whole(site: Site, mei: Member, told: bool) -> None:
    locations = await parts(mei, told=told)
    waiting = await mei.request("HEAD", locations[1], headers=TUS)
    assert waiting.headers["upload-concat"] == "partial"
    absolute = [site.url + one for one in locations]
    answer = await join(mei, absolute, **named(filename="whole.tar"))
    assert answer.status_code == 201, answer.text
    final = answer.headers["location"]
    headers = await joined(mei, final)
    assert headers["upload-offset"] == headers["upload-length"] == str(len(DATA))
    assert headers["upload-concat"] == "final;" + " ".join(locations)
    again = await join(mei, locations)
    assert (again.status_code, again.headers["location"]) == (201, final)
    assert [one.name for one in folder().iterdir()] == [UUID(final.rsplit("/", 1)[1]).hex]
    (listed,) = (await mei.request("GET", UPLOADS)).json()["uploads"]
    assert (listed["filename"], listed["size"], listed["received"]) == ("whole.tar", len(DATA), len(DATA))
    made = await mei.request("POST", "/api/v1/datasets", json=entry(final.rsplit("/", 1)[1]))
    assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()
    archive = await mei.request("GET", f"/api/v1/datasets/{made.json()['id']}/archive")
    assert archive.content == DATA


async def test_nothing_is_added_to_what_was_joined(mei: Member) -> None:
    final = (await join(mei, await parts(mei))).headers["location"]
    answer = await mei.request("PATCH", final, headers={**PIECE, "Upload-Offset": str(len(DATA))}, content=b"x")
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":upload-joined")
    assert (await joined(mei, final))["upload-length"] == str(len(DATA))


async def test_parts_of_others_and_unknown_ones_are_not_here(site: Site, mei: Member) -> None:
    eve = await site.join("eve")
    hers, theirs = await part(eve, b"mine"), await part(mei, b"secret")
    for other in (theirs, f"{UPLOADS}/{uuid4()}"):
        answer = await join(eve, [hers, other])
        assert answer.status_code == 404
        assert "address 2 of 2" in answer.json()["detail"]
    assert (await mei.request("HEAD", theirs, headers=TUS)).headers["upload-offset"] == "6"
    assert (await eve.request("HEAD", hers, headers=TUS)).headers["upload-concat"] == "partial"
    assert (
        await site.http.post(UPLOADS, headers={**TUS, "Upload-Concat": f"final;{hers} {theirs}"})
    ).status_code == 401


async def test_parts_that_make_no_archive_are_refused_with_the_reason(mei: Member) -> None:
    one, two, three = await parts(mei)
    unfinished = await part(mei, b"0123456789", sent=4)
    whole = await mei.begin(10)
    cases = [
        ([two, one, three], 422, "parts-out-of-order", "Part 1 of 3 was sent as part 2 of 3."),
        ([one, three], 422, "parts-missing", "no 2 among"),
        ([one, two], 422, "parts-missing", "no 3 among"),
        ([one, one], 422, "parts-out-of-order", "Part 2 is named before"),
        ([one], 422, "parts-number", "these are 1"),
        ([one, two, three, unfinished], 422, "parts-out-of-order", "Part 1 of 4 was sent as part 1 of 3."),
        ([unfinished, await part(mei, b"1")], 422, "upload-incomplete", "Of part 1 4 B of 10 B"),
        ([one, whole], 422, "not-a-part", "Upload 2"),
        (["nonsense"], 400, "wrong-header", "'nonsense'"),
        ([f"{UPLOADS}/../me"], 400, "wrong-header", "no address of an upload"),
        ([one] * 17, 422, "parts-number", "these are 17"),
    ]
    for locations, status, rule, words in cases:
        answer = await join(mei, locations)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, rule), answer.text
        assert words in answer.json()["detail"]
        assert answer.json()["field"] == "Upload-Concat"
        assert answer.json()["remedy"]
    assert (await join(mei, [one, two, three])).status_code == 201


async def test_headers_that_nobody_understands(mei: Member) -> None:
    for headers, field in (
        ({"Upload-Concat": "perhaps"}, "Upload-Concat"),
        ({"Upload-Concat": "final"}, "Upload-Concat"),
        ({"Upload-Concat": "partial"} | named(part="5/4"), "Upload-Metadata"),
        ({"Upload-Concat": "partial"} | named(part="one"), "Upload-Metadata"),
    ):
        answer = await mei.request("POST", UPLOADS, headers={**TUS, "Upload-Length": "10", **headers})
        assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_a_part_alone_is_not_published(mei: Member) -> None:
    location = await part(mei, b"half of it")
    answer = await mei.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":part-of-an-upload")
    (listed,) = (await mei.request("GET", UPLOADS)).json()["uploads"]
    assert listed["part"] is True


async def test_limits_count_all_parts(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"POTLUCK_GATEWAY_MAX_OPEN_UPLOADS": "2", "POTLUCK_GATEWAY_MAX_UPLOAD_BYTES": "1000"}
    async with serving_site(gateway_env | few, monkeypatch) as site:
        mei = await site.join("mei")

        async def begun(size: int) -> int:
            headers = {**TUS, "Upload-Length": str(size), "Upload-Concat": "partial"}
            return (await mei.request("POST", UPLOADS, headers=headers)).status_code

        assert await begun(1001) == 413
        # By their bytes: parts that make more than two whole uploads.
        assert [await begun(900) for _ in range(3)] == [201, 201, 429]
        assert await begun(200) == 201
        answer = await mei.request("POST", UPLOADS, headers={**TUS, "Upload-Length": "10"})
        assert answer.status_code == 429
        eve = await site.join("eve")
        first, second = await part(eve, b"x" * 600), await part(eve, b"x" * 600)
        refused = await join(eve, [first, second])
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (413, "too-large")
        # By their number: sixteen count as one.
        ada = await site.join("ada")
        small = {**TUS, "Upload-Length": "1", "Upload-Concat": "partial"}
        answers = [(await ada.request("POST", UPLOADS, headers=small)).status_code for _ in range(33)]
        assert answers == [201] * 32 + [429]


async def test_a_full_disk_while_joining_is_told_and_gone_on_from(mei: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = await parts(mei)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Appender, "append", full)
        final = (await join(mei, locations)).headers["location"]
        answer = await mei.request("HEAD", final, headers=TUS)
        assert answer.status_code == 507
    await joined(mei, final)
    made = await mei.request("POST", "/api/v1/datasets", json=entry(final.rsplit("/", 1)[1]))
    assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_while_it_is_put_together_there_is_no_offset(mei: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = await parts(mei)
    go_on = asyncio.Event()
    feed_file = UploadFile.feed_file

    async def slow(self: UploadFile, path: Path, start: int) -> None:
        await go_on.wait()
        await feed_file(self, path, start)

    monkeypatch.setattr(UploadFile, "feed_file", slow)
    monkeypatch.setattr("gateway.uploads.tus.JOIN_SECONDS", 0.1)
    monkeypatch.setattr("gateway.entries.publishing.JOIN_SECONDS", 0.1)
    final = (await join(mei, locations)).headers["location"]
    head = await mei.request("HEAD", final, headers=TUS)
    assert "upload-offset" not in head.headers
    assert head.headers["retry-after"] == "1"
    early = await mei.request("POST", "/api/v1/datasets", json=entry(final.rsplit("/", 1)[1]))
    assert (early.status_code, early.json()["type"].rpartition(":")[2]) == (409, "upload-joining")
    assert early.headers["retry-after"] == "2"
    go_on.set()
    await joined(mei, final)
    assert (await mei.request("POST", "/api/v1/datasets", json=entry(final.rsplit("/", 1)[1]))).status_code == 201


async def test_removed_while_it_is_put_together_nothing_stays(mei: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = await parts(mei)

    async def for_ever(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(UploadFile, "feed_file", for_ever)
    final = (await join(mei, locations)).headers["location"]
    assert (await mei.request("DELETE", final, headers=TUS)).status_code == 204
    assert list(folder().iterdir()) == []
    assert (await mei.request("HEAD", final, headers=TUS)).status_code == 404


async def test_a_join_that_broke_off_is_gone_on_with_elsewhere(
    gateway_env: dict[str, str], site: Site, mei: Member, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """What a process leaves that dies in the middle of the second part: another one reads it again and goes on."""
    locations = await parts(mei)

    async def dies(self: UploadFile, path: Path, start: int) -> None:
        await self.feed(path.read_bytes()[start : start + 300_000])
        await self.settle()
        raise RuntimeError("SIGKILL")

    with monkeypatch.context() as patched:
        patched.setattr(UploadFile, "feed_file", dies)
        final = (await join(mei, locations)).headers["location"]
        assert (await mei.request("HEAD", final, headers=TUS)).status_code == 500
    file = folder() / UUID(final.rsplit("/", 1)[1]).hex
    assert file.stat().st_size >= 1_300_000
    other_env = gateway_env | {"POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{unused_port}"}
    async with serving_site(other_env, monkeypatch) as other:
        elsewhere = Member(other, mei.email, mei.headers)
        made = await elsewhere.request("POST", "/api/v1/datasets", json=entry(final.rsplit("/", 1)[1]))
        assert made.status_code == 201, made.text
        assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_parts_expire_together(site: Site, mei: Member) -> None:
    """One that waits for the others stays; when nobody sends any more, all go, and the files of a joined one too."""
    base = site.base
    uploads = Uploads(
        base.database, Store(), base.blobs, Spool(folder(), 1), Regions(base.settings, base.blobs), base.settings
    )
    waiting, sending = await part(mei, b"sent long ago"), await part(mei, b"sent just now", sent=3)
    await long_ago(site, waiting)
    assert await uploads.expire() == 0
    assert (await mei.request("HEAD", waiting, headers=TUS)).status_code == 200
    await long_ago(site, sending)
    assert await uploads.expire() == 2
    assert (await mei.request("HEAD", sending, headers=TUS)).status_code == 404
    assert list(folder().iterdir()) == []


async def test_the_file_of_a_part_that_waits_to_be_joined_is_somebodys(
    site: Site, mei: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = site.base
    locations = await parts(mei)

    async def for_ever(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(UploadFile, "feed_file", for_ever)
    final = (await join(mei, locations)).headers["location"]
    for file in folder().iterdir():
        os.utime(file, (1, 1))
    other = Spool(folder(), 0.1)
    uploads = Uploads(base.database, Store(), base.blobs, other, Regions(base.settings, base.blobs), base.settings)
    assert await uploads.expire() == 0
    assert len(list(folder().iterdir())) == 3
    await mei.request("DELETE", final, headers=TUS)
    assert list(folder().iterdir()) == []


async def long_ago(site: Site, location: str) -> None:
    """Nobody has written to it for too long."""
    upload_id = UUID(location.rsplit("/", 1)[1])
    async with site.base.database.transaction() as connection:
        await connection.execute(
            "update uploads set touched = now() - interval '1000 hours' where upload_id = %s", (upload_id,)
        )
    os.utime(folder() / upload_id.hex, (1, 1))
