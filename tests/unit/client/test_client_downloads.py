"""A download continues, and nothing but the right bytes gets the file's name."""

import errno
import hashlib
import io
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from potluck.client import Client
from potluck.errors import Corrupt, LocalFileError, Problem, UnexpectedAnswer, Unreachable
from potluck.resources import ModelFile
from potluck.wire import READ_BYTES, worth_waking

NewClient = Callable[..., Client]
DATA = bytes(range(256)) * 20


def broken_after(fake: Any, count: int) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        return httpx.Response(206 if start else 200, stream=fake.body(DATA[start : start + count], breaks=True))

    return answer


class Served(BaseHTTPRequestHandler):
    """A file over a real connection, which breaks off after so many bytes of each answer but the last."""

    protocol_version = "HTTP/1.1"
    data = b""
    breaks: ClassVar[list[int]] = []
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers["Range"])
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = self.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.breaks.pop(0)] if self.breaks else rest)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Served, "data", random.Random(7).randbytes(6 << 20))
    monkeypatch.setattr(Served, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("breaks", [[], [5 << 20, 100_000], [0, 10]], ids=["whole", "late", "at once"])
def test_a_large_file_over_a_real_connection(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: list[int]
) -> None:
    monkeypatch.setattr(Served, "breaks", list(breaks))
    file = ModelFile(
        name="model.pt", size=6 << 20, sha256=hashlib.sha256(Served.data).hexdigest(), url=f"{served}/model.pt"
    )
    told: list[int] = []
    with Client(served, state_folder=tmp_path / "state", sleep=lambda _: None) as client:
        path = client.download(file, tmp_path, lambda have, _: told.append(have))
    assert path.read_bytes() == Served.data
    expected = [None, *(f"bytes={sum(breaks[:n])}-" if sum(breaks[:n]) else None for n in range(1, len(breaks) + 1))]
    assert Served.asked == expected
    assert told == sorted(told)


def test_continues_after_a_broken_connection(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (file,) = client.model("1.1").files
    fake.fail("GET", broken_after(fake, 1000), broken_after(fake, 500))
    path = client.download(file, tmp_path)
    assert path.read_bytes() == DATA
    assert [headers.get("Range") for headers in fake.requests("GET", "models/1.1/files")] == [
        None,
        "bytes=1000-",
        "bytes=1500-",
    ]
    assert fake.requests("GET", "models/1.1/files")[1]["If-Range"] == f'"{file.sha256}"'


def test_another_run_continues_and_a_third_has_nothing_to_do(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client(patience_seconds=0.0)
    (file,) = client.model("1.1").files
    fake.fail("GET", broken_after(fake, 3000))
    with pytest.raises(Unreachable):
        client.download(file, tmp_path)
    assert (tmp_path / "model.part").stat().st_size == 3000
    fake.log.clear()
    assert client.download(file, tmp_path).read_bytes() == DATA
    assert fake.requests("GET")[0]["Range"] == "bytes=3000-"
    fake.log.clear()
    client.download(file, tmp_path)
    assert not fake.log


def test_a_server_without_ranges_sends_all_of_it_again(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (file,) = client.model("1.1").files
    (tmp_path / "model.part").write_bytes(b"what an earlier run left")

    def all_of_it(request: httpx.Request) -> httpx.Response:
        del request.headers["Range"]
        answer: httpx.Response = fake.answer(request, "models/1.1/files/model")
        return answer

    fake.fail("GET", all_of_it)
    assert client.download(file, tmp_path).read_bytes() == DATA


def test_other_bytes_than_published_are_thrown_away(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (file,) = client.model("1.1").files
    fake.files["model"] = DATA[:-1] + b"!"
    with pytest.raises(Corrupt, match="SHA-256 differs"):
        client.download(file, tmp_path)
    assert not list(tmp_path.glob("model*"))


def test_an_empty_file_is_a_file(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", empty=b"")
    client = new_client()
    assert client.download(client.model("1.1").files[0], tmp_path).read_bytes() == b""


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", ""])
def test_a_name_cannot_lead_out_of_the_folder(fake: Any, new_client: NewClient, tmp_path: Path, name: str) -> None:
    fake.add_model("1.1", **{name: DATA})
    client = new_client()
    with pytest.raises(UnexpectedAnswer, match="not a plain name"):
        client.download(client.model("1.1").files[0], tmp_path)


def test_a_refusal_is_told(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (file,) = client.model("1.1").files
    fake.fail("GET", 404)
    with pytest.raises(Problem, match="the test wants it"):
        client.download(file, tmp_path)


def test_the_token_stays_with_its_server(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    fake.models["1.1"]["files"][0]["url"] = "http://elsewhere.test/api/v1/models/1.1/files/model"
    client = new_client()
    client.download(client.model("1.1").files[0], tmp_path)
    asked, fetched = fake.requests("GET", "models/1.1")
    assert "Authorization" in asked
    assert "Authorization" not in fetched


def test_too_little_room_is_told_before_anything_is_sent(
    fake: Any, new_client: NewClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (file,) = client.model("1.1").files
    (tmp_path / "model.part").write_bytes(DATA[:100])
    fake.log.clear()
    room = shutil.disk_usage(tmp_path)._replace(free=len(DATA) - 101)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(LocalFileError, match=r"needs 0\.0 MB more") as caught:
        client.download(file, tmp_path)
    assert "Make room" in caught.value.remedy
    assert not fake.log
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room._replace(free=len(DATA) - 100))
    assert client.download(file, tmp_path).read_bytes() == DATA


def test_a_folder_that_cannot_be_made(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFileError, match="cannot write there"):
        client.download(client.model("1.1").files[0], tmp_path / "file" / "folder")


def test_a_busy_server_is_waited_for_as_long_as_it_asks(fake: Any, new_client: NewClient) -> None:
    def busy(_request: httpx.Request) -> httpx.Response:
        told = {"title": "Back in a moment", "detail": "Restarting.", "remedy": "Try again."}
        return httpx.Response(503, json=told, headers={"Retry-After": "20"})

    fake.fail("GET", busy)
    assert new_client().models() == ()
    fake.fail("GET", busy)
    with pytest.raises(Problem, match="Restarting") as caught:
        new_client(patience_seconds=10.0).models()
    assert "20 s of patience" in caught.value.remedy


def test_files_are_compared_with_what_was_published(fake: Any, new_client: NewClient, tmp_path: Path) -> None:
    fake.add_model("1.1", same=DATA, other=DATA, cut=DATA, absent=DATA)
    client = new_client()
    (tmp_path / "same").write_bytes(DATA)
    (tmp_path / "other").write_bytes(DATA[:-1] + b"!")
    (tmp_path / "cut").write_bytes(DATA[:-1])
    found = client.verify(client.model("1.1"), tmp_path)
    assert found == {"same": "same", "other": "differs", "cut": "differs", "absent": "missing"}


def test_a_disk_that_fills_up_keeps_what_fitted_and_its_hash(
    fake: Any, new_client: NewClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing is in another thread: what it managed is what a rerun goes on from."""
    fake.add_model("1.1", model=DATA)
    client = new_client()
    (file,) = client.model("1.1").files
    fake.fail(
        "GET", lambda _: httpx.Response(200, stream=fake.body(*(DATA[at : at + 100] for at in range(0, 5120, 100))))
    )
    opened = Path.open

    class Small(io.FileIO):
        def write(self, data: Any, /) -> int:
            if self.tell() >= 1500:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[: 1500 - self.tell()])

    def small(path: Path, *args: Any, **options: Any) -> Any:
        return Small(path, "wb") if args[:1] == ("wb",) else opened(path, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", small)
        with pytest.raises(LocalFileError, match="the disk is full"):
            client.download(file, tmp_path)
    assert (tmp_path / "model.part").read_bytes() == DATA[:1500]
    fake.log.clear()
    assert client.download(file, tmp_path).read_bytes() == DATA
    assert fake.requests("GET")[0]["Range"] == "bytes=1500-"


@pytest.mark.parametrize(
    ("got", "seconds", "left", "count"),
    [
        (0, 0.0, 1 << 30, 1),
        (0, 5.0, 1 << 30, 1),
        (30_000, 10.0, 1 << 30, 300),
        (1 << 30, 2.0, 1 << 30, READ_BYTES),
        (1 << 30, 2.0, 17, 17),
    ],
)
def test_a_slow_line_is_not_waited_for_and_a_fast_one_not_asked_often(
    got: int, seconds: float, left: int, count: int
) -> None:
    assert worth_waking(got, seconds, left) == count
