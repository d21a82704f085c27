"""The tus endpoint: resuming, refusing, and never losing what was acknowledged."""

import asyncio
import base64
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from gateway.uploads import spool
from gateway.uploads.upload_file import UploadFile
from gateway_bench import PIECE, TUS, Member, Site, entry, eventually, serving_site

DATA = os.urandom(3 << 20)
Arrived = Callable[[int], Awaitable[None]]


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Arrived:
    """Wait until the gateway was given so many bytes of bodies: what is sent may lie in a socket for a while."""
    feed, sizes = UploadFile.feed, list[int]()

    async def counted(file: UploadFile, chunk: bytes) -> None:
        await feed(file, chunk)
        sizes.append(len(chunk))

    monkeypatch.setattr(UploadFile, "feed", counted)

    async def so_many(size: int) -> None:
        async with asyncio.timeout(60):
            while sum(sizes) < size:
                await asyncio.sleep(0.01)

    return so_many


async def offset(member: Member, location: str) -> int:
    answer = await member.request("HEAD", location, headers=TUS)
    assert answer.status_code == 200, answer.headers
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


async def patch(member: Member, location: str, at: int, content: object, **headers: str) -> httpx.Response:
    return await member.request(
        "PATCH",
        location,
        headers={**PIECE, "Upload-Offset": str(at), **{k.replace("_", "-"): v for k, v in headers.items()}},
        content=content,
    )


def checksum(data: bytes) -> str:
    return "sha256 " + base64.b64encode(hashlib.sha256(data).digest()).decode()


async def test_options_tell_what_is_spoken(site: Site) -> None:
    answer = await site.http.options("/api/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-checksum-algorithm"] == "sha256"
    assert answer.headers["tus-max-size"] == str(4 << 30)
    assert {"creation", "termination", "checksum", "expiration"} <= set(answer.headers["tus-extension"].split(","))


async def test_an_upload_in_pieces_has_the_bytes_and_the_hash(site: Site, mei: Member) -> None:
    location = await mei.begin(len(DATA))
    at = 0
    for size in (1, 700_000, len(DATA)):
        piece = DATA[at : at + size]
        answer = await patch(mei, location, at, piece)
        assert answer.status_code == 204
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert "upload-expires" in answer.headers
        at += len(piece)
        assert int(answer.headers["upload-offset"]) == at == await offset(mei, location)
    made = await mei.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()
    archive = await mei.request("GET", f"/api/v1/datasets/{made.json()['id']}/archive")
    assert archive.content == DATA


async def test_creation_with_upload(site: Site, mei: Member) -> None:
    answer = await mei.request(
        "POST", "/api/v1/uploads", headers={**PIECE, "Upload-Length": str(len(DATA))}, content=DATA[:1000]
    )
    assert answer.status_code == 201
    assert answer.headers["upload-offset"] == "1000"
    assert await offset(mei, answer.headers["location"]) == 1000


WRONG_CREATIONS: list[tuple[dict[str, str], int, str]] = [
    ({}, 400, "Upload-Length"),
    ({"Upload-Length": "-1"}, 400, "Upload-Length"),
    ({"Upload-Length": "12.5"}, 400, "Upload-Length"),
    ({"Upload-Length": "1e3"}, 400, "Upload-Length"),
    ({"Upload-Length": "9" * 30}, 400, "Upload-Length"),
    ({"Upload-Length": "0"}, 422, "Upload-Length"),
    ({"Upload-Length": str((4 << 30) + 1)}, 413, "Upload-Length"),
    ({"Upload-Defer-Length": "1"}, 400, "Upload-Defer-Length"),
    ({"Upload-Length": "1", "Upload-Metadata": "filename !!!"}, 400, "Upload-Metadata"),
    ({"Upload-Length": "1", "Upload-Metadata": "filename /w=="}, 400, "Upload-Metadata"),
    # data.rar, Data.7Z: told before gigabytes of it are sent.
    ({"Upload-Length": "1", "Upload-Metadata": "filename ZGF0YS5yYXI="}, 422, "Upload-Metadata"),
    ({"Upload-Length": "1", "Upload-Metadata": "filename RGF0YS43Wg=="}, 422, "Upload-Metadata"),
    ({"Upload-Length": "1", "Tus-Resumable": "0.2.2"}, 412, "Tus-Resumable"),
]


async def test_creation_refused(mei: Member) -> None:
    for headers, status, field in WRONG_CREATIONS:
        answer = await mei.request("POST", "/api/v1/uploads", headers=TUS | headers)
        assert answer.status_code == status, headers
        assert answer.json()["field"] == field
        assert answer.json()["remedy"]
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert (await mei.request("GET", "/api/v1/uploads")).json()["uploads"] == []


async def test_over_the_limit_says_both_sizes(mei: Member) -> None:
    answer = await mei.request("POST", "/api/v1/uploads", headers={**TUS, "Upload-Length": str(5 << 30)})
    assert answer.status_code == 413
    assert "5.37 GB" in answer.json()["detail"]
    assert "4.29 GB" in answer.json()["detail"]


async def test_strangers_cannot_begin(site: Site) -> None:
    answer = await site.http.post("/api/v1/uploads", headers={**TUS, "Upload-Length": "1"})
    assert answer.status_code == 401
    assert answer.headers["tus-resumable"] == "1.0.0"


async def test_an_upload_is_its_owners_alone(site: Site, mei: Member) -> None:
    location = await mei.begin(len(DATA))
    await patch(mei, location, 0, DATA[:1000])
    eve = await site.join("eve")
    assert (await eve.request("HEAD", location, headers=TUS)).status_code == 404
    assert (await patch(eve, location, 1000, b"evil")).status_code == 404
    assert (await eve.request("DELETE", location, headers=TUS)).status_code == 404
    assert (await site.http.head(location, headers=TUS)).status_code == 401
    theirs = await eve.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert theirs.status_code == 422
    assert theirs.json()["field"] == "upload_id"
    assert await offset(mei, location) == 1000


WRONG_PIECES: list[tuple[dict[str, str], int, str]] = [
    ({"Upload-Offset": "7"}, 409, "Upload-Offset"),
    ({"Upload-Offset": "x"}, 400, "Upload-Offset"),
    ({"Upload-Offset": "0", "Content-Type": "application/octet-stream"}, 415, "Content-Type"),
    ({"Upload-Offset": "0", "Upload-Checksum": "md5 AAAA"}, 400, "Upload-Checksum"),
    ({"Upload-Offset": "0", "Upload-Checksum": "sha256 AAAA"}, 400, "Upload-Checksum"),
    ({"Upload-Offset": "0", "Upload-Checksum": "sha256 ???"}, 400, "Upload-Checksum"),
]


async def test_pieces_refused(mei: Member) -> None:
    location = await mei.begin(len(DATA))
    for headers, status, field in WRONG_PIECES:
        answer = await mei.request("PATCH", location, headers=PIECE | headers, content=DATA)
        assert answer.status_code == status, headers
        assert answer.json()["field"] == field
        assert await offset(mei, location) == 0


async def test_a_conflict_tells_where_the_upload_stands(mei: Member) -> None:
    location = await mei.begin(len(DATA))
    await patch(mei, location, 0, DATA[:1000])
    answer = await patch(mei, location, 0, DATA)
    assert answer.status_code == 409
    assert answer.headers["upload-offset"] == "1000"


async def test_a_damaged_piece_is_discarded_and_the_rest_kept(mei: Member) -> None:
    location = await mei.begin(len(DATA))
    good = DATA[: 1 << 20]
    assert (await patch(mei, location, 0, good, Upload_Checksum=checksum(good))).status_code == 204
    damaged = await patch(mei, location, len(good), b"?" + DATA[len(good) + 1 :], Upload_Checksum=checksum(DATA))
    assert damaged.status_code == 460
    assert await offset(mei, location) == len(good)
    rest = DATA[len(good) :]
    assert (await patch(mei, location, len(good), rest, Upload_Checksum=checksum(rest))).status_code == 204
    made = await mei.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    """A body without Content-Length."""
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


async def test_more_than_announced_is_refused_whole(mei: Member) -> None:
    for chunked in (False, True):
        location = await mei.begin(len(DATA) - 1)
        await patch(mei, location, 0, DATA[:1000])
        rest = DATA[1000:]
        answer = await patch(mei, location, 1000, in_pieces(rest) if chunked else rest)
        assert answer.status_code == 413
        assert answer.json()["type"].endswith("upload-length-exceeded")
        assert await offset(mei, location) == 1000


async def test_less_than_announced_cannot_be_published(mei: Member) -> None:
    location = await mei.begin(len(DATA))
    await patch(mei, location, 0, DATA[:-1])
    answer = await mei.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("upload-incomplete")
    assert (await patch(mei, location, len(DATA) - 1, DATA[-1:])).status_code == 204
    assert (await patch(mei, location, len(DATA), b"")).status_code == 204


async def test_a_quick_pause_and_resume_meets_no_conflict(mei: Member, arrived: Arrived) -> None:
    """The old connection still sends while the client, believing it gone, comes back."""
    location = await mei.begin(len(DATA))
    old_goes_on = asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        yield DATA[:1_500_000]
        await old_goes_on.wait()
        yield b"stale"

    old = asyncio.create_task(patch(mei, location, 0, never_ending()))
    await arrived(1_500_000)
    here = await offset(mei, location)
    assert here == 1_500_000
    answer = await patch(mei, location, here, DATA[here:])
    assert answer.status_code == 204
    old_goes_on.set()
    assert (await old).status_code == 423
    made = await mei.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_a_connection_that_breaks_keeps_what_arrived(mei: Member, arrived: Arrived) -> None:
    location = await mei.begin(len(DATA))

    async def breaking() -> AsyncIterator[bytes]:
        yield DATA[:2_000_000]
        await arrived(2_000_000)
        raise ConnectionResetError("the train entered a tunnel")

    with pytest.raises(ConnectionResetError):
        await patch(mei, location, 0, breaking(), Content_Length=str(len(DATA)))
    here = await offset(mei, location)
    assert here == 2_000_000
    assert (await patch(mei, location, here, DATA[here:])).status_code == 204


async def test_a_checked_piece_that_breaks_is_not_kept(mei: Member, arrived: Arrived) -> None:
    location = await mei.begin(len(DATA))

    async def breaking() -> AsyncIterator[bytes]:
        yield DATA[:2_000_000]
        await arrived(2_000_000)
        raise ConnectionResetError("the train entered a tunnel")

    with pytest.raises(ConnectionResetError):
        await patch(mei, location, 0, breaking(), Content_Length=str(len(DATA)), Upload_Checksum=checksum(DATA))
    assert await offset(mei, location) == 0


async def test_a_full_disk_loses_nothing(mei: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    location = await mei.begin(len(DATA))
    room = 1_200_000
    write = os.write

    def until_full(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[:room])
        room -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", until_full)
        answer = await patch(mei, location, 0, DATA)
    assert answer.status_code == 507
    assert "kept" in answer.json()["detail"]
    assert await offset(mei, location) == 1_200_000
    assert (await patch(mei, location, 1_200_000, DATA[1_200_000:])).status_code == 204
    made = await mei.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
    assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_no_room_is_said_at_the_beginning(mei: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool.Spool, "free_bytes", lambda _self: 1000)
    answer = await mei.request("POST", "/api/v1/uploads", headers={**TUS, "Upload-Length": "1001"})
    assert answer.status_code == 507


async def test_termination(mei: Member) -> None:
    location = await mei.begin(len(DATA))
    await patch(mei, location, 0, DATA[:1000])
    folder = Path(os.environ["POTLUCK_GATEWAY_UPLOADS_FOLDER"])
    assert len(list(folder.iterdir())) == 1
    assert (await mei.request("DELETE", location, headers=TUS)).status_code == 204
    assert (await mei.request("HEAD", location, headers=TUS)).status_code == 404
    assert (await patch(mei, location, 1000, b"x")).status_code == 404
    assert list(folder.iterdir()) == []


async def test_a_published_upload_stays(mei: Member) -> None:
    upload_id = await mei.upload(DATA)
    await mei.request("POST", "/api/v1/datasets", json=entry(upload_id))
    assert (await mei.request("DELETE", f"/api/v1/uploads/{upload_id}", headers=TUS)).status_code == 409
    assert await offset(mei, f"/api/v1/uploads/{upload_id}") == len(DATA)


async def test_unknown_uploads(mei: Member) -> None:
    for path in (f"/api/v1/uploads/{uuid4()}", "/api/v1/uploads/not-an-id"):
        assert (await mei.request("HEAD", path, headers=TUS)).status_code == 404


async def test_what_is_open_is_listed_and_limited(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving_site(gateway_env | {"POTLUCK_GATEWAY_MAX_OPEN_UPLOADS": "2"}, monkeypatch) as site:
        mei = await site.join("mei")
        first = await mei.begin(1000, **{"Upload-Metadata": "filename Li4vLi4vZXZpbC56aXA="})
        await patch(mei, first, 0, b"x" * 10)
        await mei.begin(1000)
        answer = await mei.request("POST", "/api/v1/uploads", headers={**TUS, "Upload-Length": "1"})
        assert answer.status_code == 429
        assert answer.json()["detail"] == "You have 2 uploads that are not published; 2 are allowed."
        assert (answer.json()["open_uploads"], answer.json()["open_uploads_limit"]) == (2, 2)
        uploads = (await mei.request("GET", "/api/v1/uploads")).json()["uploads"]
        assert [(one["filename"], one["received"]) for one in uploads] == [("archive", 0), ("evil.zip", 10)]
        assert (await (await site.join("eve")).request("GET", "/api/v1/uploads")).json()["uploads"] == []


async def test_an_account_has_so_much_room(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    room = 3 << 20
    env = gateway_env | {"POTLUCK_GATEWAY_MAX_ACCOUNT_BYTES": str(room)}
    async with serving_site(env, monkeypatch, with_pages=True) as site:
        mei, eve = await site.join("mei"), await site.join("eve")
        await mei.publish(b"x" * (1 << 20))
        begun = await mei.begin(3 << 19)
        tried = {**TUS, "Upload-Length": str((1 << 19) + 1), "Upload-Metadata": "filename ZGF0YS56aXA="}
        answer = await mei.request("POST", "/api/v1/uploads", headers=tried)
        assert answer.status_code == 413
        problem = answer.json()
        assert problem["type"] == "urn:potluck:problem:quota-exceeded"
        assert problem["detail"] == (
            "The archive has 524 kB, and 524 kB of the 3.1 MB of your account are left: datasets take 1.0 MB, "
            "uploads that are not published 1.6 MB."
        )
        assert "Discard uploads" in problem["remedy"]
        here = {"open_bytes": 3 << 19, "stored_bytes": 1 << 20, "used_bytes": 5 << 19, "left_bytes": 1 << 19}
        assert {name: problem[name] for name in here} == here
        assert problem["limit_bytes"] == room
        told = (await mei.request("GET", "/api/v1/me/storage")).json()
        assert {name: told[name] for name in here} == here
        page = (await mei.request("GET", "/account", headers={"accept": "text/html"})).text
        assert "524 kB of 3.1 MB left" in page.replace("\u00a0", " ")
        # Nothing was left behind, somebody else has all their room, and what is discarded makes room.
        assert len((await mei.request("GET", "/api/v1/uploads")).json()["uploads"]) == 1
        assert len(list(Path(env["POTLUCK_GATEWAY_UPLOADS_FOLDER"]).iterdir())) == 1
        await eve.begin(room)
        assert (await mei.request("DELETE", begun, headers=TUS)).status_code == 204
        assert (await mei.request("POST", "/api/v1/uploads", headers=tried)).status_code == 201
        assert (await site.http.get("/api/v1/me/storage")).status_code == 401


@pytest.mark.parametrize("limit", [{"MAX_ACCOUNT_BYTES": "1000"}, {"MAX_OPEN_UPLOADS": "1"}], ids=["bytes", "number"])
async def test_uploads_begun_at_once_do_not_share_the_last_room(
    limit: dict[str, str], gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = gateway_env | {f"POTLUCK_GATEWAY_{name}": value for name, value in limit.items()}
    async with serving_site(env, monkeypatch) as site:
        mei = await site.join("mei")
        headers = {**TUS, "Upload-Length": "600"}
        sent = [mei.request("POST", "/api/v1/uploads", headers=headers) for _ in range(6)]
        answers = sorted(answer.status_code for answer in await asyncio.gather(*sent))
        assert answers == [201, *[413 if "MAX_ACCOUNT_BYTES" in limit else 429] * 5]
        assert len(list(Path(env["POTLUCK_GATEWAY_UPLOADS_FOLDER"]).iterdir())) == 1


async def test_abandoned_uploads_expire(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"POTLUCK_GATEWAY_UPLOAD_EXPIRY_HOURS": "0.0003", "POTLUCK_GATEWAY_UPLOAD_SWEEP_SECONDS": "0.2"}
    folder = Path(gateway_env["POTLUCK_GATEWAY_UPLOADS_FOLDER"])
    async with serving_site(gateway_env | short, monkeypatch) as site:
        mei = await site.join("mei")
        kept = await mei.publish(DATA)
        location = await mei.begin(len(DATA))
        await patch(mei, location, 0, DATA[:1000])
        (folder / uuid4().hex).write_bytes(b"a file that no row knows")
        (folder / f"{uuid4().hex}-{uuid4().hex}.copy").write_bytes(b"of a process that died while it published")

        async def gone() -> bool:
            return (await mei.request("HEAD", location, headers=TUS)).status_code == 404 and not list(folder.iterdir())

        await eventually(gone)
        archive = await mei.request("GET", f"/api/v1/datasets/{kept['id']}/archive")
        assert archive.content == DATA


async def test_two_replicas_share_an_upload(
    gateway_env: dict[str, str], site: Site, mei: Member, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """The second one re-reads what the first one received; while one writes, the other waits its turn."""
    location = await mei.begin(len(DATA))
    await patch(mei, location, 0, DATA[:1_000_000])
    other_env = gateway_env | {"POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{unused_port}"}
    async with serving_site(other_env, monkeypatch) as other:
        elsewhere = Member(other, mei.email, mei.headers)
        assert await offset(elsewhere, location) == 1_000_000
        assert (await patch(elsewhere, location, 1_000_000, DATA[1_000_000:2_000_000])).status_code == 204
        assert (await patch(mei, location, 2_000_000, DATA[2_000_000:])).status_code == 204
        made = await elsewhere.request("POST", "/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]))
        assert made.json()["sha256"] == hashlib.sha256(DATA).hexdigest()
