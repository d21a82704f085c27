"""A large archive goes in parts side by side, goes on part by part, and is one upload in the end."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from potluck import stopping
from potluck.client import Client
from potluck.errors import Problem
from potluck.resources import Dataset

NewClient = Callable[..., Client]
SIZE = 65_432


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.tar"
    path.write_bytes(b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(3000))[:SIZE])
    return path


def contribute(client: Client, archive: Path, **more: Any) -> Dataset:
    return client.upload(archive, name="Si", authors=["demo contributor"], **more)


def arrived(fake: Any, archive: Path, dataset: Dataset) -> bool:
    (held,) = fake.uploads.values()
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    return bytes(held) == archive.read_bytes() and fake.datasets[dataset.id]["sha256"] == right


def places(fake: Any) -> list[str]:
    return [one["Upload-Length"] for one in fake.requests("POST", "uploads") if one.get("Upload-Concat") == "partial"]


def test_parts_arrive_as_one_archive(fake: Any, new_client: NewClient, large: Path) -> None:
    told: list[tuple[int, int]] = []
    fake.joining = 3
    dataset = contribute(new_client(), large, report=lambda *now: told.append(now))
    assert arrived(fake, large, dataset)
    assert places(fake) == ["21810", "21811", "21811"]
    assert (told[0], told[-1]) == ((0, SIZE), (SIZE, SIZE))
    assert all(total == SIZE and 0 <= sent <= SIZE for sent, total in told)
    assert len({dataset.id for dataset in (dataset, contribute(new_client(), large))}) == 2


@pytest.mark.parametrize("parallel", [1, 4], ids=["asked for one", "a small file"])
def test_one_connection_where_parts_would_win_nothing(
    fake: Any, new_client: NewClient, large: Path, archive: Path, parallel: int
) -> None:
    chosen = large if parallel == 1 else archive
    dataset = contribute(new_client(), chosen, parallel=parallel)
    assert arrived(fake, chosen, dataset)
    assert places(fake) == []
    assert not fake.requests("OPTIONS")


def test_a_server_that_knows_no_parts_gets_one_upload(fake: Any, new_client: NewClient, large: Path) -> None:
    fake.extensions = "creation,checksum"
    assert arrived(fake, large, contribute(new_client(), large))
    assert places(fake) == []
    fake.uploads.clear()
    fake.fail("OPTIONS", 404)
    assert arrived(fake, large, contribute(new_client(), large, parallel=2))


def test_what_is_too_large_is_refused_before_anything_is_sent(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    path = tmp_path / "huge.tar"
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(Problem, match="Too large"):
        contribute(new_client(), path)
    assert not fake.requests("PATCH")


def test_a_refused_part_takes_the_others_back(fake: Any, new_client: NewClient, large: Path) -> None:
    fake.fail("POST", lambda request: fake.answer(request, "uploads"), 429)
    fake.fail("POST", *[429] * 200)
    with pytest.raises(Problem):
        contribute(new_client(patience_seconds=1.0), large)
    assert fake.uploads == {}
    assert not fake.requests("PATCH")


def test_another_run_goes_on_part_by_part(fake: Any, new_client: NewClient, large: Path) -> None:
    refused = threading.Lock()

    def until_enough(request: httpx.Request) -> httpx.Response:
        with refused:
            if sum(map(len, fake.uploads.values())) > SIZE // 2:
                return httpx.Response(403, json={"title": "Stop here"})
            return fake._patch(request, request.url.path.rsplit("/", 1)[-1])  # type: ignore[no-any-return]

    fake.fail("PATCH", *[until_enough] * 1000)
    with pytest.raises(Problem, match="Stop here"):
        contribute(new_client(), large)
    before = {name: len(held) for name, held in fake.uploads.items()}
    assert sum(before.values()) > SIZE // 2
    fake.faults.clear()
    fake.log.clear()
    dataset = contribute(new_client(), large, parallel=1)
    assert arrived(fake, large, dataset)
    assert places(fake) == []
    sent = sum(int(one["Content-Length"]) for one in fake.requests("PATCH"))
    assert sent == SIZE - sum(before.values())


def test_a_part_that_the_server_lost_is_sent_anew(fake: Any, new_client: NewClient, large: Path) -> None:
    fake.fail("PATCH", *[403] * 3)
    with pytest.raises(Problem):
        contribute(new_client(), large)
    fake.faults.clear()
    del fake.uploads[list(fake.uploads)[1]]
    fake.log.clear()
    assert arrived(fake, large, contribute(new_client(), large))
    assert places(fake) == ["21811"]


def test_what_was_joined_before_is_only_published(fake: Any, new_client: NewClient, large: Path) -> None:
    def refuse_the_entry(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("datasets"):
            return httpx.Response(422, json={"title": "No such licence"})
        return fake.answer(request, "uploads")  # type: ignore[no-any-return]

    fake.fail("POST", *[refuse_the_entry] * 5)
    with pytest.raises(Problem, match="No such licence"):
        contribute(new_client(), large)
    fake.faults.clear()
    fake.log.clear()
    assert arrived(fake, large, contribute(new_client(), large))
    assert not fake.requests("PATCH")
    assert not fake.requests("POST", "uploads")


def test_to_this_machine_one_connection_is_enough(fake: Any, new_client: NewClient, large: Path) -> None:
    for server in ("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"):
        contribute(new_client(server), large)
        assert places(fake) == []


def test_the_setting_says_how_many(
    fake: Any, new_client: NewClient, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_PARALLEL", "2")
    assert arrived(fake, large, contribute(new_client(), large))
    assert len(places(fake)) == 2


def test_the_first_error_stops_the_others() -> None:
    ended = threading.Event()

    def fails() -> None:
        raise ValueError("first")

    def goes_on() -> None:
        try:
            while True:
                stopping.check()
                ended.wait(0.001)
        finally:
            ended.set()

    with pytest.raises(ValueError, match="first"):
        stopping.side_by_side([goes_on, fails], 2)
    assert ended.is_set()


def test_whoever_waits_can_stop_all() -> None:
    stop, begun = threading.Event(), threading.Event()

    def goes_on() -> None:
        begun.set()
        stop.set()
        while True:
            stopping.check()

    with stopping.stoppable(stop), pytest.raises(stopping.Stopped):
        stopping.side_by_side([goes_on, goes_on], 2)
    assert begun.is_set()


def test_each_is_done_once_in_few_threads() -> None:
    done: list[int] = []
    stopping.side_by_side([lambda n=n: done.append(n) for n in range(20)], 3)  # type: ignore[misc]
    assert sorted(done) == list(range(20))
