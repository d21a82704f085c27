"""1 GiB through the `potluck` command into the real gateway: how fast, and how much memory each process takes.

The peer reads the same file, hashes it and writes it to the same disk, synced: what any store of checked uploads must
do at least. Memory is the proportional set size of each process and its children, sampled while the upload and what
ingest makes of it go on; where the system does not tell it, the resident set, which counts shared pages for each.
"""

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from bench_service import memory, service_process
from ports import free_port
from potluck.client import Client

MIB = 1 << 20
SIZE = 1 << 30
BLOCK = 8 * MIB
ROUNDS = 3
SAMPLE_SECONDS = 0.1
EMAIL, PASSWORD = "contributor@example.org", "a long enough password"
Environment = Callable[[str], dict[str, str]]


@dataclass
class Watch:
    """Largest memory of each process since the block began; more may be added while it lasts."""

    pids: dict[str, int]
    before: dict[str, int] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    def sample(self) -> None:
        for name, pid in list(self.pids.items()):
            now = memory(pid)
            self.before.setdefault(name, now)
            self.peak[name] = max(self.peak.get(name, 0), now)
            self.after[name] = now

    @contextmanager
    def sampling(self) -> Iterator[None]:
        stop = threading.Event()

        def repeat() -> None:
            while not stop.wait(SAMPLE_SECONDS):
                self.sample()

        self.sample()
        thread = threading.Thread(target=repeat)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.sample()


def server_pid(name: str) -> int:
    """Of a server that a fixture has started."""
    [pid] = [child.pid for child in psutil.Process().children() if child.name() == name]
    return pid


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """Random blocks, not sparse. Removed afterwards, as is everything else: pytest would keep three runs."""
    free = shutil.disk_usage(tmp_path).free
    assert free > 5 * SIZE, f"{tmp_path} has {free / 1e9:.1f} GB free; this benchmark needs {5 * SIZE / 1e9:.1f}"
    path = tmp_path / "archive.bin"
    block = os.urandom(BLOCK)
    with path.open("wb") as file:
        for number in range(SIZE // BLOCK):
            file.write(number.to_bytes(8, "big") + block[8:])
    yield path
    shutil.rmtree(tmp_path, ignore_errors=True)


def peer(archive: Path, target: Path) -> float:
    """Seconds to read, hash and store the same bytes in Python."""
    started = time.perf_counter()
    digest = sha256()
    with archive.open("rb") as source, target.open("wb") as file:
        while chunk := source.read(MIB):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    target.unlink()
    return seconds


def upload(archive: Path, environment: dict[str, str], number: int, watch: Watch) -> float:
    """Seconds of the whole command, start of Python and entry included."""
    command = [sys.executable, "-m", "potluck", "upload", str(archive), "--agree", "--json"]
    command += ["--name", f"Upload {number}", "--author", "demo contributor"]
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        # "More than before" is for a client everything that it takes.
        watch.before["client"] = 0
        watch.pids["client"] = child.pid
        _, errors = child.communicate(timeout=600)
    seconds = time.perf_counter() - started
    assert child.returncode == 0, errors.decode()
    return seconds


def settled(client: Client) -> None:
    """Until ingest has told of every upload: random bytes are no archive."""
    deadline = time.monotonic() + 300
    while any(one.state == "uploaded" for one in client.datasets(mine=True)):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def show(speeds: dict[str, float], watch: Watch) -> None:
    print(f"\n{SIZE // MIB} MiB, median of {ROUNDS}")
    for name, speed in speeds.items():
        print(f"{name:>28} {speed:7.1f} MiB/s")
    print(f"{'ratio':>28} {speeds['potluck upload'] / speeds['hash and write']:7.2f}")
    print(f"{'memory, MiB':>28} {'before':>8} {'peak':>8} {'growth':>8} {'left':>8}")
    for name in watch.pids:
        before, peak, after = (values[name] / MIB for values in (watch.before, watch.peak, watch.after))
        print(f"{name:>28} {before:8.1f} {peak:8.1f} {peak - before:8.1f} {max(after - before, 0):8.1f}")


def test_upload_of_a_gibibyte(service_env: Environment, tmp_path: Path, archive: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    gateway = service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": url.removeprefix("http://"),
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
    }
    ingest = service_env("ingest") | {"POTLUCK_INGEST_WORK_FOLDER": str(tmp_path / "work")}
    with (
        service_process("ingest", ingest, tmp_path / "ingest.log") as reader,
        service_process("gateway", gateway, tmp_path / "gateway.log") as door,
        Client(url, state_folder=tmp_path / "state") as anonymous,
    ):
        anonymous.sign_up(EMAIL, "demo contributor", PASSWORD)
        token = anonymous.new_token(EMAIL, PASSWORD, "bench")
        environment = {"PATH": os.defpath, "POTLUCK_SERVER": url, "POTLUCK_TOKEN": token}
        environment["POTLUCK_HOME"] = str(tmp_path / "home")
        # Until the children that ingest keeps ready have imported what they need.
        time.sleep(10)
        pids = {"gateway": door.pid, "ingest and its children": reader.pid}
        watch = Watch(pids | {"PostgreSQL": server_pid("postgres"), "nats-server": server_pid("nats-server")})
        uploads, copies = [], []
        with Client(url, token, state_folder=tmp_path / "state") as client, watch.sampling():
            for number in range(ROUNDS):
                copies.append(peer(archive, tmp_path / "copy"))
                uploads.append(upload(archive, environment, number, watch))
                settled(client)
                stored = list((tmp_path / "blobs/uploads").glob("*/archive"))
                assert [one.stat().st_size for one in stored] == [SIZE]
                stored[0].unlink()
            assert len(client.datasets(mine=True)) == ROUNDS
    seconds = {"potluck upload": statistics.median(uploads), "hash and write": statistics.median(copies)}
    show({name: SIZE / MIB / value for name, value in seconds.items()}, watch)
