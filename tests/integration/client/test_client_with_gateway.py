"""The client against the real gateway: accounts, uploads through crashes, live state, downloads."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from contracts import keys
from contracts.base import BlobRef, DatasetRef
from contracts.events import DatasetRejected, ModelFile, ModelPublished
from patience import SECONDS
from potluck.client import Client
from potluck.errors import NotSignedIn, Problem

EMAIL, PASSWORD = "contributor@example.org", "a long enough password"
ENTRY: dict[str, Any] = {"name": "Si", "authors": ["demo contributor"]}


@pytest.fixture
def client(gateway_process: Any, tmp_path: Path) -> Iterator[Client]:
    """Signed up and signed in."""
    with Client(gateway_process.url, state_folder=tmp_path / "state") as anonymous:
        anonymous.sign_up(EMAIL, "demo contributor", PASSWORD)
        token = anonymous.new_token(EMAIL, PASSWORD, "test")
    with Client(gateway_process.url, token, state_folder=tmp_path / "state", patience_seconds=SECONDS) as signed_in:
        yield signed_in


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "si.bin"
    path.write_bytes(os.urandom(20 << 20))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored(gateway_process: Any, digest: str) -> list[Path]:
    """Archives in storage with that hash."""
    return [path for path in (gateway_process.blobs / "uploads").glob("*/archive") if sha256(path) == digest]


def test_upload_survives_kill_9_of_the_gateway(gateway_process: Any, client: Client, archive: Path) -> None:
    restarts: list[threading.Thread] = []

    def kill_halfway(sent: int, total: int) -> None:
        if sent > total // 2 and not restarts:
            gateway_process.kill()
            restarts.append(threading.Thread(target=gateway_process.start))
            restarts[0].start()

    dataset = client.upload(archive, **ENTRY, report=kill_halfway)
    restarts[0].join()
    assert dataset.sha256 == sha256(archive)
    assert dataset.size == archive.stat().st_size
    assert len(stored(gateway_process, sha256(archive))) == 1


def test_another_process_continues_where_the_first_was_killed(
    gateway_process: Any, client: Client, archive: Path
) -> None:
    class Killed(Exception):
        """Stands for the end of the program."""

    def stop_halfway(sent: int, total: int) -> None:
        if sent > total // 2:
            raise Killed

    with pytest.raises(Killed):
        client.upload(archive, **ENTRY, report=stop_halfway)
    first: list[int] = []
    dataset = client.upload(archive, **ENTRY, report=lambda sent, _: first.append(sent))
    assert first[0] >= 8 << 20
    assert dataset.sha256 == sha256(archive)


def test_damage_on_the_way_is_found_and_sent_again(gateway_process: Any, client: Client, archive: Path) -> None:
    class Damaging(httpx.HTTPTransport):
        damaged = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH" and self.damaged < 2:
                self.damaged += 1
                body = b"".join(request.stream)  # type: ignore[arg-type]
                changed = bytes([body[0] ^ 1]) + body[1:]
                request = httpx.Request(request.method, request.url, headers=request.headers, content=changed)
            return super().handle_request(request)

    network = Damaging()
    token = client.new_token(EMAIL, PASSWORD, "bad network")
    with Client(gateway_process.url, token, state_folder=archive.parent / "other", http=network) as unlucky:
        dataset = unlucky.upload(archive, **ENTRY)
    assert network.damaged == 2
    assert dataset.sha256 == sha256(archive)


def test_publishing_again_does_not_make_a_second_dataset(client: Client, archive: Path) -> None:
    class AnswerLost(httpx.HTTPTransport):
        lost = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.url.path.endswith("/datasets") and request.method == "POST" and not self.lost:
                self.lost += 1
                response.read()
                raise httpx.ReadError("connection reset by peer")
            return response

    network = AnswerLost()
    token = client.new_token(EMAIL, PASSWORD, "bad network")
    with Client(client.server, token, state_folder=archive.parent / "other", http=network) as unlucky:
        dataset = unlucky.upload(archive, **ENTRY)
    assert network.lost == 1
    assert [one.id for one in client.datasets(mine=True)] == [dataset.id]


WRONG_ENTRIES: list[tuple[dict[str, Any], str, str]] = [
    ({"format": "no/such/format"}, "format", "no/such/format"),
    ({"licence": "WTFPL"}, "licence", "not among ours"),
    ({"name": " "}, "name", "needs a name"),
    ({"authors": []}, "authors", "at least one author"),
    ({"agreement": False}, "agreement", "agreement"),
]


def test_a_wrong_entry_is_told_and_can_be_corrected_without_sending_again(client: Client, tmp_path: Path) -> None:
    archive = tmp_path / "small.zip"
    archive.write_bytes(b"some bytes")
    for entry, field, words in WRONG_ENTRIES:
        with pytest.raises(Problem, match=words) as caught:
            client.upload(archive, **(ENTRY | entry))
        assert (caught.value.status, caught.value.field) == (422, field)
        assert caught.value.remedy
    sent: list[int] = []
    client.upload(archive, **ENTRY, report=lambda now, _: sent.append(now))
    assert set(sent) == {10}


def test_more_than_four_gigabytes_are_refused_before_they_are_sent(client: Client, tmp_path: Path) -> None:
    archive = tmp_path / "large.tar"
    with archive.open("wb") as file:
        file.truncate((4 << 30) + 1)
    with pytest.raises(Problem, match="too large") as caught:
        client.upload(archive, **ENTRY)
    assert caught.value.status == 413
    assert "4.29 GB" in caught.value.what
    assert caught.value.remedy


def test_wrong_password_and_wrong_token(gateway_process: Any, client: Client) -> None:
    with pytest.raises(Problem) as caught:
        client.new_token(EMAIL, "wrong password", "test")
    assert caught.value.status == 401
    with Client(gateway_process.url, "no-such-token") as stranger, pytest.raises(Problem) as refused:
        stranger.me()
    assert refused.value.status == 401
    with Client(gateway_process.url) as anonymous, pytest.raises(NotSignedIn):
        anonymous.me()
    assert client.me().email == EMAIL


def test_follows_through_kill_9_to_the_end(gateway_process: Any, client: Client, archive: Path) -> None:
    dataset = client.upload(archive, **ENTRY)
    following = client.follow(dataset.id)
    assert next(following).state == "uploaded"

    def rejected_while_nobody_listens() -> None:
        gateway_process.kill()
        ref = DatasetRef(dataset_id=UUID(dataset.id), version=dataset.version)
        gateway_process.say(
            "ingest", DatasetRejected(dataset=ref, rule="no-calculation", reason="Nothing here.", remedy="Add some.")
        )
        gateway_process.start()

    script = threading.Timer(0.5, rejected_while_nobody_listens)
    script.start()
    *_, last = following
    script.join()
    assert (last.state, last.verdict, last.finished) == ("rejected", "rejected", True)
    assert last.message is not None
    assert last.message.remedy == "Add some."


def test_a_model_is_downloaded_in_two_parts(gateway_process: Any, client: Client, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no such model"):
        client.model("latest")
    data = os.urandom(3 << 20)
    digest = hashlib.sha256(data).hexdigest()
    key = keys.model_file("1.0", digest, "model.pt")
    (gateway_process.blobs / key).parent.mkdir(parents=True)
    (gateway_process.blobs / key).write_bytes(data)
    blob = BlobRef(key=key, sha256=digest, size=len(data))
    gateway_process.say(
        "registry",
        ModelPublished(
            version="1.0", parent=None, round_id=uuid4(), datasets=(), contributors=("demo contributor",),
            files=(ModelFile(name="model.pt", blob=blob, kind="checkpoint"),), branches=(), standard_score=0.5,
            rules=(), preset="laptop", wall_seconds=1.0,
        ),
    )  # fmt: skip
    model = eventually(client.models)[0]
    assert (model.version, model.contributors) == ("1.0", ("demo contributor",))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "model.pt.part").write_bytes(data[:1000])
    received: list[int] = []
    path = client.download(model.files[0], tmp_path / "home", lambda have, _: received.append(have))
    assert path.read_bytes() == data
    assert received[0] > 1000
    assert client.model("latest").version == "1.0"


def eventually(look: Callable[[], Any]) -> Any:
    """The first answer that is not empty, within a minute."""
    for _ in range(600):
        found = look()
        if found:
            return found
        threading.Event().wait(0.1)
    pytest.fail("nothing came")


def test_the_command_from_sign_up_to_status(gateway_process: Any, tmp_path: Path) -> None:
    def command(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
        environment = kept | {"POTLUCK_HOME": str(tmp_path / "home")}
        line = [sys.executable, "-m", "potluck", *arguments]
        return subprocess.run(line, input=typed, text=True, capture_output=True, env=environment, check=False)

    where = ("--server", gateway_process.url)
    signed = command("signup", *where, "--email", EMAIL, "--name", "A B", "--password-stdin", typed=f"{PASSWORD}\n")
    assert signed.returncode == 0, signed.stderr
    again = command("login", *where, "--email", EMAIL, "--password-stdin", typed="wrong\n")
    assert again.returncode == 3
    assert "Traceback" not in again.stderr
    archive = tmp_path / "notes.txt"
    archive.write_text("not much")
    uploaded = command("upload", str(archive), "--name", "Notes", "--author", "A B", "--agree", "--private", "--json")
    assert uploaded.returncode == 0, uploaded.stderr
    dataset = json.loads(uploaded.stdout)
    shown = command("status", dataset["id"])
    assert "Submit ●" in shown.stdout
    assert "the archive has arrived" in shown.stdout
    listed = command("datasets", "--mine", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)] == ["Notes"]
    stranger = command("status", str(uuid4()))
    assert stranger.returncode == 6
    assert "no such dataset" in stranger.stderr
