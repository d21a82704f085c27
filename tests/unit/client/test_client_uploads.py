"""An upload goes on where it stopped, whoever stopped it, and makes one dataset."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from potluck.client import Client
from potluck.errors import Corrupt, LocalFileError, NotSignedIn, Problem, Unreachable
from potluck.resources import Dataset

NewClient = Callable[..., Client]


def contribute(client: Client, archive: Path, **more: Any) -> Dataset:
    return client.upload(archive, name="Si", authors=["demo contributor"], **more)


def only_upload(fake: Any) -> bytes:
    (held,) = fake.uploads.values()
    return bytes(held)


def test_every_byte_arrives_and_its_hash_goes_with_the_entry(fake: Any, new_client: NewClient, archive: Path) -> None:
    told: list[tuple[int, int]] = []
    dataset = contribute(new_client(), archive, report=lambda *now: told.append(now))
    assert only_upload(fake) == archive.read_bytes()
    assert fake.datasets[dataset.id]["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert told[0] == (0, 2560)
    assert told[-1] == (2560, 2560)
    assert [headers["Upload-Offset"] for headers in fake.requests("PATCH")] == ["0", "1000", "2000"]


def test_goes_on_at_the_servers_offset_when_the_connection_breaks(
    fake: Any, new_client: NewClient, archive: Path
) -> None:
    fake.fail("PATCH", 300, 0, 200)
    dataset = contribute(new_client(), archive)
    assert only_upload(fake) == archive.read_bytes()
    assert fake.datasets[dataset.id]["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    sent = [(headers["Upload-Offset"], headers["Content-Length"]) for headers in fake.requests("PATCH")]
    # Pieces shrink while the connection breaks, and grow again when it holds.
    broken, whole = [("0", "1000"), ("300", "500"), ("300", "250")], [("500", "125"), ("625", "250"), ("875", "500")]
    assert sent == [*broken, *whole, ("1375", "1000"), ("2375", "185")]


def test_another_run_of_the_program_continues(fake: Any, new_client: NewClient, archive: Path) -> None:
    def pulled_out(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    fake.fail("PATCH", 300)
    fake.fail("HEAD", pulled_out)
    with pytest.raises(KeyboardInterrupt):
        contribute(new_client(), archive)
    fake.log.clear()
    dataset = contribute(new_client(), archive)
    assert only_upload(fake) == archive.read_bytes()
    assert not fake.requests("POST", "uploads")
    assert fake.requests("PATCH")[0]["Upload-Offset"] == "300"
    assert fake.datasets[dataset.id]["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_a_changed_file_is_another_upload(fake: Any, new_client: NewClient, archive: Path) -> None:
    fake.fail("PATCH", 403)
    with pytest.raises(Problem):
        contribute(new_client(), archive)
    archive.write_bytes(b"other data")
    contribute(new_client(), archive)
    assert sorted(map(len, fake.uploads.values())) == [0, 10]


def test_a_file_that_changes_on_the_way_is_not_published(fake: Any, new_client: NewClient, archive: Path) -> None:
    def touch(sent: int, total: int) -> None:
        if sent == total:
            os.utime(archive, (1, 1))

    with pytest.raises(LocalFileError, match="changed while it was being sent"):
        contribute(new_client(), archive, report=touch)
    assert not fake.datasets


def test_an_upload_that_the_server_forgot_starts_anew(fake: Any, new_client: NewClient, archive: Path) -> None:
    fake.fail("PATCH", 403)
    with pytest.raises(Problem):
        contribute(new_client(), archive)
    fake.uploads.clear()
    contribute(new_client(), archive)
    assert only_upload(fake) == archive.read_bytes()


def test_a_damaged_chunk_is_sent_again(fake: Any, new_client: NewClient, archive: Path) -> None:
    fake.fail("PATCH", 460, 460)
    contribute(new_client(), archive)
    assert only_upload(fake) == archive.read_bytes()


def test_a_connection_that_always_damages_is_told(fake: Any, new_client: NewClient, archive: Path) -> None:
    fake.fail("PATCH", *[460] * 10)
    with pytest.raises(Corrupt, match="damaged the same data 6 times") as caught:
        contribute(new_client(), archive)
    assert caught.value.where.endswith("byte 0")
    assert "continues from there" in caught.value.remedy


@pytest.mark.parametrize("status", [423, 500, 502, 503])
def test_a_busy_server_is_asked_again(fake: Any, new_client: NewClient, archive: Path, status: int) -> None:
    fake.fail("PATCH", status)
    fake.fail("POST", status)
    contribute(new_client(), archive)
    assert only_upload(fake) == archive.read_bytes()


def test_gives_up_when_patience_ends_and_leaves_what_a_rerun_needs(
    fake: Any, new_client: NewClient, archive: Path
) -> None:
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    fake.fail("PATCH", *[gone] * 100)
    with pytest.raises(Unreachable, match="connection refused") as caught:
        contribute(new_client(patience_seconds=20.0), archive)
    assert "it continues where it stopped" in caught.value.remedy
    assert 4 <= len(fake.requests("PATCH")) <= 20
    fake.faults.clear()
    contribute(new_client(), archive)
    assert only_upload(fake) == archive.read_bytes()


def test_an_answer_lost_on_the_way_does_not_publish_twice(fake: Any, new_client: NewClient, archive: Path) -> None:
    def published_but_unheard(request: httpx.Request) -> httpx.Response:
        fake.handle_request(request)
        raise httpx.ReadError("connection reset by peer")

    # The first POST opens the upload, the second publishes.
    fake.fail("POST", lambda request: fake.answer(request, "uploads"), published_but_unheard)
    contribute(new_client(), archive)
    assert len(fake.datasets) == 1
    keys = {headers["Idempotency-Key"] for headers in fake.requests("POST", "datasets")}
    assert len(keys) == 1


def test_a_corrected_entry_is_another_request(fake: Any, new_client: NewClient, archive: Path) -> None:
    fake.fail("POST", lambda request: fake.answer(request, "uploads"), 422)
    with pytest.raises(Problem):
        contribute(new_client(), archive, licence="nonsense")
    contribute(new_client(), archive)
    first, second = fake.requests("POST", "datasets")
    assert first["Idempotency-Key"] != second["Idempotency-Key"]
    assert len(fake.requests("POST", "uploads")) == 1


def test_the_servers_words_reach_the_contributor(new_client: NewClient, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    large.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(Problem, match="Too large: Archives may have up to 1 MiB") as caught:
        contribute(new_client(), large)
    assert caught.value.where == "field archive"
    assert caught.value.remedy == "Split it."


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "is empty"),
    ],
)
def test_a_file_that_is_none_is_told_before_anything_is_sent(
    fake: Any, new_client: NewClient, tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "archive.zip"
    make(path)
    with pytest.raises(LocalFileError, match=words):
        contribute(new_client(), path)
    assert not fake.log


def test_without_a_token_nothing_is_sent(fake: Any, new_client: NewClient, archive: Path) -> None:
    with pytest.raises(NotSignedIn) as caught:
        contribute(new_client(token=None), archive)
    assert "potluck login" in caught.value.remedy
    assert not fake.log
