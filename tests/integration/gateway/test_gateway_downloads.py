"""Downloads: ranges, validators, names, and what happens when the storage has lost an object."""

import base64
import hashlib
import os
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from contracts.base import BlobRef, DatasetRef
from contracts.events import ModelFile
from gateway_bench import Member, Outside, Site, eventually
from gateway_examples import published, validated
from kit.db import Database

DATA = os.urandom(2_500_000)
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


@dataclass
class Shelf:
    site: Site
    archive: str


@pytest.fixture
async def shelf(site: Site, outside: Outside) -> Shelf:
    mei: Member = await site.join("mei")
    made = await mei.publish(DATA)
    await outside.say(validated(DatasetRef(dataset_id=made["id"], version=1)))
    archive = f"/api/v1/datasets/{made['id']}/archive"

    async def offered() -> bool:
        return (await site.http.head(archive)).status_code == 200

    await eventually(offered)
    return Shelf(site, archive)


async def test_the_whole_file(shelf: Shelf) -> None:
    answer = await shelf.site.http.get(shelf.archive)
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(DATA))
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-disposition"].startswith('attachment; filename="data.zip"')
    head = await shelf.site.http.head(shelf.archive)
    assert head.headers["content-length"] == str(len(DATA))
    assert head.content == b""


async def test_ranges(shelf: Shelf) -> None:
    size = len(DATA)
    for asked, expected in (
        ("bytes=0-0", DATA[:1]),
        ("bytes=1000000-1999999", DATA[1_000_000:2_000_000]),
        (f"bytes={size - 1}-", DATA[-1:]),
        ("bytes=-10", DATA[-10:]),
        (f"bytes=-{size * 2}", DATA),
        (f"bytes=5-{size * 2}", DATA[5:]),
    ):
        answer = await shelf.site.http.get(shelf.archive, headers={"range": asked})
        assert answer.status_code == 206, asked
        assert answer.content == expected, asked
        start = size - len(expected) if asked.startswith("bytes=-") else int(asked[6:].split("-")[0])
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"


async def test_ranges_that_cannot_be_satisfied(shelf: Shelf) -> None:
    for asked in (f"bytes={len(DATA)}-", "bytes=-0", f"bytes={len(DATA) + 5}-{len(DATA) + 9}"):
        answer = await shelf.site.http.get(shelf.archive, headers={"range": asked})
        assert answer.status_code == 416, asked
        assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


async def test_ranges_that_are_ignored(shelf: Shelf) -> None:
    for asked in ("bytes=5-2", "bytes=a-b", "bytes=", "lines=1-2", "bytes=0-1,5-9", "bytes=--5"):
        answer = await shelf.site.http.get(shelf.archive, headers={"range": asked})
        assert answer.status_code == 200, asked
        assert len(answer.content) == len(DATA)


async def test_if_range_resumes_only_the_same_bytes(shelf: Shelf) -> None:
    same = await shelf.site.http.get(shelf.archive, headers={"range": "bytes=5-9", "if-range": ETAG})
    assert same.status_code == 206
    for other in ('"other"', "Wed, 21 Oct 2026 07:28:00 GMT", f"W/{ETAG}"):
        answer = await shelf.site.http.get(shelf.archive, headers={"range": "bytes=5-9", "if-range": other})
        assert answer.status_code == 200


async def test_if_none_match(shelf: Shelf) -> None:
    for tags in (ETAG, f'"x", {ETAG}', f"W/{ETAG}", "*"):
        answer = await shelf.site.http.get(shelf.archive, headers={"if-none-match": tags})
        assert answer.status_code == 304
        assert answer.content == b""
    assert (await shelf.site.http.get(shelf.archive, headers={"if-none-match": '"x"'})).status_code == 200


async def test_an_object_that_storage_lost(shelf: Shelf) -> None:
    await shelf.site.base.blobs.delete_prefix("uploads")
    answer = await shelf.site.http.get(shelf.archive)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


async def test_files_of_a_model(site: Site, outside: Outside) -> None:
    weights, recipe = b"weights" * 1000, b"{}"
    blobs: dict[str, BlobRef] = {
        "model.pt": await site.base.blobs.put_bytes("models/1.1/x/model.pt", weights),
        "recipe.json": await site.base.blobs.put_bytes("models/1.1/x/recipe.json", recipe),
    }
    files = tuple(ModelFile(name=name, blob=blob, kind="checkpoint") for name, blob in blobs.items())
    for version in ("1.2", "1.10"):
        await outside.say(published(uuid4(), version=version, files=files))

    async def both() -> bool:
        return len((await site.http.get("/api/v1/models")).json()["models"]) == 2

    await eventually(both)
    models = (await site.http.get("/api/v1/models")).json()["models"]
    assert [(one["version"], one["aliases"]) for one in models] == [("1.10", ["latest"]), ("1.2", [])]
    latest = (await site.http.get("/api/v1/models/latest")).json()
    assert latest["version"] == "1.10"
    listed = {one["name"]: one for one in latest["files"]}
    assert listed["model.pt"]["sha256"] == hashlib.sha256(weights).hexdigest()
    answer = await site.http.get(listed["model.pt"]["url"], headers={"range": "bytes=7-13"})
    assert answer.status_code == 206
    assert answer.content == b"weights"
    assert answer.headers["etag"] == f'"{listed["model.pt"]["sha256"]}"'
    assert (await site.http.get("/api/v1/models/latest/files/recipe.json")).content == recipe
    assert (await site.http.get("/api/v1/models/1.10/files/other")).status_code == 404
    assert (await site.http.get("/api/v1/models/9.9")).status_code == 404


async def test_before_the_first_model(site: Site) -> None:
    assert (await site.http.get("/api/v1/models")).json() == {"models": []}
    answer = await site.http.get("/api/v1/models/latest")
    assert answer.status_code == 404
    assert "No version" in answer.json()["remedy"]


async def test_while_the_database_is_away(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_self: object) -> None:
        raise psycopg.OperationalError("the server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "transaction", away)
        answer = await shelf.site.http.get(shelf.archive)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "server closed" not in answer.text
    assert (await shelf.site.http.get(shelf.archive)).status_code == 200
