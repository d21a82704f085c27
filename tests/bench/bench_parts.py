"""One archive by one connection and by four: on loopback, and on a line that gives each connection 8 MB/s.

Whole uploads by the SDK, entry included, by turns; the peer is the same client with one connection. On loopback parts
can win nothing: both ends share the machine, and the joining comes on top.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench_service import service_process
from gateway_bench import PASSWORD
from ports import free_port
from potluck import Client
from slow_line import slow_line

MIB = 1 << 20
CONNECTIONS = 4
SPEED = 8e6
LOOPBACK = (256 * MIB, 3)
SLOW = (128 * MIB, 2)
Environment = Callable[[str], dict[str, str]]


def archive_of(folder: Path, size: int) -> Path:
    """Random blocks, not sparse."""
    path, block = folder / f"{size}.bin", os.urandom(8 * MIB)
    with path.open("wb") as file:
        for number in range(size // len(block)):
            file.write(number.to_bytes(8) + block[8:])
    return path


def told(name: str, url: str, token: str, archive: Path, rounds: int, folder: Path) -> None:
    size = archive.stat().st_size
    seconds: dict[int, list[float]] = {1: [], CONNECTIONS: []}
    with Client(url, token, state_folder=folder / "state") as client:
        hashes = set()
        for number in range(rounds):
            for connections, taken in seconds.items():
                begun = time.perf_counter()
                dataset = client.upload(
                    archive,
                    name=f"{name}, {connections}, {number}",
                    authors=["bench"],
                    shared_only=True,
                    parallel=connections,
                )
                taken.append(time.perf_counter() - begun)
                hashes.add(dataset.sha256)
    assert len(hashes) == 1
    one, several = (statistics.median(taken) for taken in seconds.values())
    print(
        f"\n{name}, {size // MIB} MiB: one connection {size / one / 1e6:,.1f} MB/s,"
        f" {CONNECTIONS} connections {size / several / 1e6:,.1f} MB/s, {one / several:.2f}×"
        f"  ({[round(x, 2) for x in seconds[1]]} s, {[round(x, 2) for x in seconds[CONNECTIONS]]} s)"
    )


def test_one_connection_and_four(service_env: Environment, fresh_streams: object, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = service_env("gateway") | {"POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{port}"}
    with service_process("gateway", environment, tmp_path / "gateway.log"):
        with Client(url, state_folder=tmp_path / "state") as anonymous:
            anonymous.sign_up("bench@example.org", "bench", PASSWORD)
            token = anonymous.new_token("bench@example.org", PASSWORD, "bench")
        with slow_line("127.0.0.1", port, SPEED) as line:
            size, rounds = SLOW
            told("8 MB/s a connection", f"http://{line}", token, archive_of(tmp_path, size), rounds, tmp_path)
        size, rounds = LOOPBACK
        told("loopback", url, token, archive_of(tmp_path, size), rounds, tmp_path)
