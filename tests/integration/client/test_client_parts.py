"""Parts side by side against the real gateway, which is killed, and by a program that ends in the middle."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import potluck.parallel
import potluck.tus
import pytest
from patience import SECONDS
from potluck.client import Client

PASSWORD = "a long enough password"
ENTRY: dict[str, Any] = {"name": "Si", "authors": ["demo contributor"]}
MIB = 1 << 20
# Ends as SIGKILL ends it, when half of the archive has left.
DIES_HALFWAY = """
import os, sys
import potluck.parallel, potluck.tus
from potluck import Client
potluck.parallel.PART_BYTES = potluck.tus.CHUNK_BYTES = 1 << 20
url, token, state, archive = sys.argv[1:]
def report(sent, total):
    if sent > total // 2:
        os._exit(9)
from pathlib import Path
client = Client(url, token, state_folder=Path(state))
client.upload(archive, name="Si", authors=["demo contributor"], parallel=4, report=report)
"""


@pytest.fixture
def token(gateway_process: Any, tmp_path: Path) -> str:
    with Client(gateway_process.url, state_folder=tmp_path / "state") as anonymous:
        anonymous.sign_up("contributor@example.org", "demo contributor", PASSWORD)
        return anonymous.new_token("contributor@example.org", PASSWORD, "test")


@pytest.fixture
def client(gateway_process: Any, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(potluck.parallel, "PART_BYTES", MIB)
    monkeypatch.setattr(potluck.tus, "CHUNK_BYTES", MIB)
    with Client(gateway_process.url, token, state_folder=tmp_path / "state", patience_seconds=SECONDS) as signed_in:
        yield signed_in


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "si.bin"
    path.write_bytes(os.urandom(12 * MIB + 345))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_parts_survive_kill_9_of_the_gateway(gateway_process: Any, client: Client, archive: Path) -> None:
    restarts: list[threading.Thread] = []

    def kill_halfway(sent: int, total: int) -> None:
        if sent > total // 2 and not restarts:
            gateway_process.kill()
            restarts.append(threading.Thread(target=gateway_process.start))
            restarts[0].start()

    dataset = client.upload(archive, **ENTRY, parallel=3, report=kill_halfway)
    restarts[0].join()
    assert (dataset.sha256, dataset.size) == (sha256(archive), archive.stat().st_size)
    (stored,) = (gateway_process.blobs / "uploads").glob("*/archive")
    assert sha256(stored) == sha256(archive)


def test_a_program_that_died_is_gone_on_from_by_the_next(
    gateway_process: Any, client: Client, token: str, archive: Path, tmp_path: Path
) -> None:
    line = [sys.executable, "-c", DIES_HALFWAY, gateway_process.url, token, str(tmp_path / "state"), str(archive)]
    assert subprocess.run(line, check=False).returncode == 9
    told: list[int] = []
    dataset = client.upload(archive, **ENTRY, parallel=4, report=lambda sent, _: told.append(sent))
    assert told[0] > 0
    assert dataset.sha256 == sha256(archive)
    assert client.citation(dataset.id).startswith("@")
