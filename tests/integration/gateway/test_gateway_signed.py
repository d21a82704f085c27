"""Addresses that the registry signed: they work as they are, until they expire, for model files alone."""

import hashlib
import random
import time
from pathlib import Path

import pytest
from gateway_bench import Site
from kit.signed_urls import signed_url
from pydantic import SecretStr

DATA = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = f"models/1.0/{SHA256}/model.pt"
SECRET = SecretStr("5" * 64)


@pytest.fixture
def gateway_env(gateway_env: dict[str, str]) -> dict[str, str]:
    return gateway_env | {"POTLUCK_GATEWAY_DOWNLOAD_SECRET": SECRET.get_secret_value()}


@pytest.fixture
def stored(site: Site, tmp_path: Path) -> Path:
    """The gateway's storage, with a model file and something that is none."""
    for key, data in ((KEY, DATA), ("datasets/secret/train.mdb", b"private")):
        path = tmp_path / "blobs" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "blobs"


def address(key: str = KEY, seconds: float = 60, secret: SecretStr = SECRET) -> str:
    return signed_url("", key, int(time.time() + seconds), secret)


async def test_the_file_whole_and_in_parts(site: Site, stored: Path) -> None:
    answer = await site.http.get(address())
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["etag"] == f'"{SHA256}"'
    assert 'filename="dpa-1.0-model.pt"' in answer.headers["content-disposition"]
    part = await site.http.get(address(), headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, DATA[10:20])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (address(seconds=-1), "expired"),
        (address(secret=SecretStr("6" * 64)), "does not belong"),
        (address().replace("model.pt", "other.pt"), "does not belong"),
        (address().replace("expires=", "expires=1"), "does not belong"),
        (address().partition("?")[0], "no signature"),
    ],
    ids=["expired", "another secret", "another file", "another time", "none"],
)
async def test_an_address_that_does_not_work_says_why(site: Site, stored: Path, path: str, words: str) -> None:
    answer = await site.http.get(path)
    assert answer.status_code == 403
    problem = answer.json()
    assert problem["type"] == "urn:potluck:problem:signature-refused"
    assert words in problem["detail"]
    assert "SignDownloads" in problem["remedy"]


@pytest.mark.parametrize(
    "key", ["datasets/secret/train.mdb", f"models/1.0/{'0' * 64}/model.pt", f"models/1.0/{SHA256}/../model.pt"]
)
async def test_nothing_but_model_files_that_are_there(site: Site, stored: Path, key: str) -> None:
    answer = await site.http.get(address(key))
    assert answer.status_code in (403, 404)
    assert b"private" not in answer.content
