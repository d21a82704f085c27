"""The client against the real gateway: what the site can do, lost answers, Ctrl-C, full disks, many at once."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import SECONDS
from potluck import AsyncClient, Client
from potluck.errors import LocalFileError, Problem

EMAIL, PASSWORD = "contributor@example.org", "a long enough password"
ENTRY: dict[str, Any] = {"name": "Si", "authors": ["demo contributor"]}
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def client(gateway_process: Any, tmp_path: Path) -> Iterator[Client]:
    """Signed up and signed in."""
    with Client(gateway_process.url, state_folder=tmp_path / "state") as anonymous:
        anonymous.sign_up(EMAIL, "demo contributor", PASSWORD)
        token = anonymous.new_token(EMAIL, PASSWORD, "test")
    with Client(gateway_process.url, token, state_folder=tmp_path / "state", patience_seconds=SECONDS) as signed_in:
        yield signed_in


@pytest.fixture
def environment(client: Client, tmp_path: Path) -> dict[str, str]:
    """Of the command, with an empty home; signed in by the variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
    token = client.new_token(EMAIL, PASSWORD, "command")
    return kept | {
        "POTLUCK_HOME": str(tmp_path / "home"),
        "POTLUCK_SERVER": client.server,
        "POTLUCK_TOKEN": token,
        "POTLUCK_AUTHORS": "A B",
    }


@pytest.fixture
def command(environment: dict[str, str]) -> Command:
    def potluck(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "potluck", *arguments]
        return subprocess.run(line, text=True, capture_output=True, env=environment | more, check=False, stdin=-3)

    return potluck


def file_of(folder: Path, name: str, content: bytes = b"some bytes") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_shared_only_versions_publishing_withdrawal(client: Client, command: Command, tmp_path: Path) -> None:
    archive = str(file_of(tmp_path, "one.zip"))
    said = command("upload", archive, "--name", "Shared", "--shared-only", "--agree", "--json")
    assert said.returncode == 0, said.stderr
    shared = client.dataset(json.loads(said.stdout)["id"])
    assert (shared.dpa, shared.state, shared.authors) == (False, "shared", ("A B",))
    line = (
        "upload",
        archive,
        "--name",
        "Hidden",
        "--private",
        "--author",
        "Ada L (0000-0002-1825-0097)",
        "--agree",
        "--json",
    )
    hidden = json.loads(command(*line).stdout)
    assert hidden["private"] is True
    page = f"{client.server}/datasets/{hidden['id']}"
    again = command(
        "upload",
        str(file_of(tmp_path, "two.zip")),
        "--name",
        "Hidden",
        "--private",
        "--version-of",
        page,
        "--agree",
        "--json",
    )
    assert (json.loads(again.stdout)["id"], json.loads(again.stdout)["version"]) == (hidden["id"], 2)
    refused = command("publish", page)
    assert refused.returncode == 1
    assert "--agree" in refused.stderr
    public = command("publish", page, "--licence", "CC0-1.0", "--agree", "--json")
    assert public.returncode == 0, public.stderr
    assert json.loads(public.stdout)["private"] is False
    assert json.loads(public.stdout)["licence"] == "CC0-1.0"
    assert client.make_public(hidden["id"]).private is False
    cited = command("cite", page, "--save", str(tmp_path / "cite.bib"))
    assert cited.returncode == 0, cited.stderr
    assert cited.stdout.lstrip().startswith("@")
    assert (tmp_path / "cite.bib").read_text() == cited.stdout
    assert "cff-version" in command("cite", page, "--format", "cff").stdout
    assert command("cite", page, "--format", "endnote").returncode == 6
    asked = command("withdraw", page)
    assert asked.returncode == 1
    assert "cannot be undone" in asked.stderr
    gone = command("withdraw", page, "--reason", "an error", "--yes", "--json")
    assert json.loads(gone.stdout)["state"] == "withdrawn"
    assert client.withdraw(hidden["id"]).state == "withdrawn"


def test_what_there_is_to_choose_from(client: Client, command: Command) -> None:
    assert "CC-BY-4.0" in [one.id for one in client.licences()]
    agreement = client.agreement()
    assert agreement.version
    assert agreement.content in command("agreement").stdout
    assert client.agreement("zh").language == "zh"
    assert len(json.loads(command("regions", "--json").stdout)) == 1
    assert client.nearest_region() is None
    found = command("datasets", "silicon", "--element", "Si", "--json")
    assert json.loads(found.stdout)["datasets"] == []
    assert command("datasets", "x", "--mine").returncode == 2


def test_a_misspelt_word_finds_what_was_meant_and_says_so(client: Client, command: Command, tmp_path: Path) -> None:
    client.upload(file_of(tmp_path, "one.zip"), **(ENTRY | {"name": "Cubic perovskite"}))
    give_up = time.monotonic() + 60
    while not client.search("perovskite").found and time.monotonic() < give_up:
        time.sleep(0.2)
    assert client.search("perovskite", sort="newest").corrected is None
    page = client.search("perovksite")
    assert (page.corrected, [one.name for one in page.datasets]) == ("perovskite", ["Cubic perovskite"])
    said = command("datasets", "perovksite")
    assert "“perovskite”" in said.stdout
    assert "Cubic perovskite" in said.stdout


def test_what_does_not_exist_is_told_with_what_does(client: Client, tmp_path: Path, command: Command) -> None:
    own = client.upload(file_of(tmp_path, "one.zip"), **ENTRY)
    for line in (("status", "00000000-0000-0000-0000-000000000000"), ("status", "nonsense")):
        said = command(*line)
        assert said.returncode == 6
        assert own.id in said.stderr
    said = command("download", "9.9")
    assert said.returncode == 6
    assert "There is no model yet" in said.stderr
    other = command("upload", str(file_of(tmp_path, "two.zip")), "--name", "x", "--region", "moon", "--agree")
    assert other.returncode == 6
    assert "region" in other.stderr


def test_a_revoked_and_a_wrong_token(client: Client, command: Command) -> None:
    secret = client.new_token(EMAIL, PASSWORD, "short", scopes=["read"], days=1)
    assert command("whoami", POTLUCK_TOKEN=secret).returncode == 0
    kept = next(one for one in client.tokens() if one.name == "short")
    assert kept.scopes == ("read",)
    client.revoke_token(kept.id)
    for wrong in (secret, "nonsense"):
        said = command("whoami", POTLUCK_TOKEN=wrong)
        assert said.returncode == 3
        assert "Sign in again" in said.stderr


class AnswerLost(httpx.HTTPTransport):
    """The first answer to a POST of each path is lost on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.method == "POST" and request.url.path not in self.lost:
            self.lost.append(request.url.path)
            response.read()
            raise httpx.ReadError("connection reset by peer")
        return response


def test_no_lost_answer_makes_anything_twice(gateway_process: Any, tmp_path: Path) -> None:
    network, state = AnswerLost(), tmp_path / "state"
    with Client(gateway_process.url, http=network, state_folder=state) as anonymous:
        anonymous.sign_up(EMAIL, "demo contributor", PASSWORD)
        token = anonymous.new_token(EMAIL, PASSWORD, "test")
    with Client(gateway_process.url, token, http=network, state_folder=state) as unlucky:
        dataset = unlucky.upload(file_of(tmp_path, "one.zip"), **ENTRY)
        assert [one.id for one in unlucky.datasets(mine=True)] == [dataset.id]
        assert [one.name for one in unlucky.tokens()] == ["test"]  # the one that nobody saw is revoked
        left = unlucky._transport.json("GET", "uploads")["uploads"]
    assert left == []
    assert network.lost == [f"/api/v1/{name}" for name in ("accounts", "tokens", "uploads", "datasets")]


def test_ctrl_c_leaves_an_upload_that_goes_on(
    gateway_process: Any, environment: dict[str, str], command: Command, tmp_path: Path
) -> None:
    archive = str(file_of(tmp_path, "large.zip", os.urandom(48 << 20)))
    line = ("upload", archive, "--name", "Large", "--agree", "--json")
    gateway = gateway_process._process
    running = subprocess.Popen(
        [sys.executable, "-m", "potluck", *line],
        env=environment,
        text=True,
        stdout=-1,
        stderr=-1,
        # What a shell starts in the background ignores SIGINT, tests too, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    notes = tmp_path / "home/state/uploads"
    try:
        deadline = time.monotonic() + SECONDS
        while not any(notes.glob("*.json")):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        gateway.send_signal(signal.SIGSTOP)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=SECONDS)
    finally:
        gateway.send_signal(signal.SIGCONT)
        running.kill()
    assert running.returncode == 130
    assert "the same command again goes on where this one stopped" in said
    assert "Traceback" not in said
    held = json.loads(next(notes.glob("*.json")).read_text())["upload"]
    done = command(*line)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["size"] == 48 << 20
    headers = {"Authorization": f"Bearer {environment['POTLUCK_TOKEN']}", "Tus-Resumable": "1.0.0"}
    assert httpx.head(held, headers=headers, timeout=60).headers["Upload-Offset"] == str(48 << 20)
    assert not any(notes.glob("*.json"))


def test_a_full_disk_leaves_a_download_that_goes_on(client: Client, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    dataset = client.upload(file_of(tmp_path, "one.bin", content), **ENTRY)
    file = client.archive_files(client.dataset(dataset.id))[0]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        with pytest.raises(LocalFileError, match="the disk is full") as caught:
            client.download(file, tmp_path / "home")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "continues where it stopped" in caught.value.remedy
    part = tmp_path / "home" / f"{file.name}.part"
    held = part.stat().st_size
    assert 900_000 < held <= 1 << 20
    assert part.read_bytes() == content[:held]
    first: list[int] = []
    path = client.download(file, tmp_path / "home", lambda have, _: first.append(have))
    assert path.read_bytes() == content
    assert first[0] > held


def test_download_and_verify_from_the_command(client: Client, command: Command, tmp_path: Path) -> None:
    dataset = client.upload(file_of(tmp_path, "one.bin", b"content"), **ENTRY)
    said = command("download", dataset.id, "-o", str(tmp_path / "here"), "--json")
    assert said.returncode == 0, said.stderr
    assert Path(json.loads(said.stdout)[0]).read_bytes() == b"content"
    none = command("download", f"{client.server}/datasets/{dataset.id}", "--frames")
    assert none.returncode == 1
    assert "nothing to download yet" in none.stderr


@contextmanager
def browser(server: str) -> Iterator[httpx.Client]:
    """Signed in with a cookie."""
    with httpx.Client(base_url=server, headers={"accept": "text/html"}, timeout=60) as session:
        assert session.post("/api/v1/sessions", json={"email": EMAIL, "password": PASSWORD}).status_code == 201
        yield session


@pytest.mark.parametrize(("decision", "code"), [("approve", 0), ("deny", 3)])
def test_login_by_the_browser(
    client: Client, environment: dict[str, str], command: Command, decision: str, code: int
) -> None:
    del environment["POTLUCK_TOKEN"]
    line = [sys.executable, "-m", "potluck", "login", "--browser", "--json"]
    running = subprocess.Popen(line, env=environment, text=True, stdout=-1, stderr=-1)
    assert running.stdout is not None
    told = json.loads(running.stdout.readline())
    with browser(client.server) as page:
        assert told["code"] in page.get(told["url_with_code"]).text
        data = {"code": told["code"], "decision": decision, "scopes": ["read"], "expires_days": "7"}
        assert page.post("/device", data=data).status_code == 303
    out, said = running.communicate(timeout=SECONDS)
    assert running.returncode == code, said
    who = command("whoami")
    if code == 0:
        assert json.loads(out)["email"] == EMAIL
        assert EMAIL in who.stdout
    else:
        assert "denied" in said
        assert who.returncode == 3


async def test_many_archives_travel_side_by_side(client: Client, tmp_path: Path) -> None:
    archives = [file_of(tmp_path, f"{number}.zip", os.urandom(4 << 20)) for number in range(6)]
    token = await asyncio.to_thread(client.new_token, EMAIL, PASSWORD, "many")
    async with AsyncClient(client.server, token, state_folder=tmp_path / "many") as many:
        done = await asyncio.gather(*(many.upload(one, **(ENTRY | {"name": one.stem})) for one in archives))
        assert sorted(one.name for one in done) == [one.stem for one in archives]
        seen = [state async for state in many.follow((await many.upload(archives[0], **ENTRY, shared_only=True)).id)]
        assert [one.state for one in seen] == ["shared"]
        with pytest.raises(Problem, match="no such dataset"):
            await many.dataset("nonsense")


async def test_a_cancelled_upload_stops_and_goes_on_later(client: Client, tmp_path: Path) -> None:
    archive = file_of(tmp_path, "large.zip", os.urandom(32 << 20))
    token = await asyncio.to_thread(client.new_token, EMAIL, PASSWORD, "patient")
    half, cancelled, sent = asyncio.Event(), threading.Event(), list[int]()
    loop = asyncio.get_running_loop()

    def report(now: int, total: int) -> None:
        sent.append(now)
        if now > total // 2:
            loop.call_soon_threadsafe(half.set)
            assert cancelled.wait(SECONDS)

    async with AsyncClient(client.server, token, state_folder=tmp_path / "patient") as patient:
        task = asyncio.create_task(patient.upload(archive, **ENTRY, report=report))
        await half.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
    # Left, the client has waited for its thread: that stopped between two pieces.
    assert max(sent) < 32 << 20
    first: list[int] = []
    async with AsyncClient(client.server, token, state_folder=tmp_path / "patient") as again:
        dataset = await again.upload(archive, **ENTRY, report=lambda now, _: first.append(now))
    assert dataset.size == 32 << 20
    assert first[0] >= 8 << 20
