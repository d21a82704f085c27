"""The gateway as a process of its own: SIGKILL while bytes arrive, memory of a large upload, SIGTERM with streams."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import patience
import psutil
from gateway_bench import PASSWORD, PIECE, SERVE, TUS, ServedProcess, entry

MIB = 1 << 20


def token(process: ServedProcess) -> dict[str, str]:
    mei = {"email": "mei@example.org", "name": "Mei", "password": PASSWORD}
    assert httpx.post(f"{process.url}/api/v1/accounts", json=mei, timeout=30).status_code == 201
    made = httpx.post(f"{process.url}/api/v1/tokens", json=mei | {"name": "test"}, timeout=30)
    return {"Authorization": f"Bearer {made.json()['token']}"}


def begin(process: ServedProcess, headers: dict[str, str], size: int) -> str:
    made = httpx.post(f"{process.url}/api/v1/uploads", headers=headers | TUS | {"Upload-Length": str(size)}, timeout=30)
    assert made.status_code == 201, made.text
    return str(made.headers["location"])


def offset(process: ServedProcess, headers: dict[str, str], location: str) -> int:
    answer = httpx.head(process.url + location, headers=headers | TUS, timeout=30)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def send_part(
    process: ServedProcess,
    headers: dict[str, str],
    location: str,
    data: bytes,
    at: int,
    part: int,
    arrives: Callable[[], bool] = lambda: True,
) -> None:
    """Announce everything from `at`, send `part` bytes of it, and kill with the connection open: soon after what
    `arrives` says is so."""
    host, port = process.env["POTLUCK_GATEWAY_ADDRESS"].split(":")
    said = headers | PIECE | {"Host": host, "Upload-Offset": str(at), "Content-Length": str(len(data) - at)}
    head = f"PATCH {location} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items())
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + b"\r\n" + data[at : at + part])
    deadline = time.monotonic() + patience.SECONDS
    while not arrives():
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.1))
    process.kill()
    connection.close()


def test_sigkill_while_bytes_arrive(served_process: ServedProcess) -> None:
    headers = token(served_process)
    data = os.urandom(24 * MIB)
    location = begin(served_process, headers, len(data))
    file = Path(served_process.env["POTLUCK_GATEWAY_UPLOADS_FOLDER"]) / UUID(location.rsplit("/", 1)[1]).hex
    at, offsets = 0, []
    # The first after something was written, the others whenever: what was sent may lie in a socket for a while.
    for arrives in (lambda: file.stat().st_size > 0, lambda: True, lambda: True):
        send_part(served_process, headers, location, data, at, random.randrange(4 * MIB, 6 * MIB), arrives)
        served_process.start()
        at = offset(served_process, headers, location)
        offsets.append(at)
    assert offsets == sorted(offsets)
    assert 0 < at < len(data)
    sent = httpx.patch(
        served_process.url + location,
        headers=headers | PIECE | {"Upload-Offset": str(at)},
        content=data[at:],
        timeout=60,
    )
    assert sent.status_code == 204
    served_process.kill()
    served_process.start()
    made = httpx.post(
        f"{served_process.url}/api/v1/datasets",
        json=entry(location.rsplit("/", 1)[1]),
        headers=headers | {"Idempotency-Key": "once"},
        timeout=60,
    )
    assert made.status_code == 201, made.text
    assert made.json()["sha256"] == hashlib.sha256(data).hexdigest()
    served_process.kill()
    served_process.start()
    again = httpx.post(
        f"{served_process.url}/api/v1/datasets",
        json=entry(location.rsplit("/", 1)[1]),
        headers=headers | {"Idempotency-Key": "once"},
        timeout=60,
    )
    assert again.json()["id"] == made.json()["id"]
    archive = httpx.get(
        f"{served_process.url}/api/v1/datasets/{made.json()['id']}/archive", headers=headers, timeout=60
    )
    assert hashlib.sha256(archive.content).hexdigest() == made.json()["sha256"]


def test_sigkill_in_a_checked_piece_keeps_only_what_was_verified(served_process: ServedProcess) -> None:
    headers = token(served_process)
    data = os.urandom(12 * MIB)
    location = begin(served_process, headers, len(data))
    first = httpx.patch(
        served_process.url + location,
        headers=headers | PIECE | {"Upload-Offset": "0"},
        content=data[:MIB],
        timeout=60,
    )
    assert first.status_code == 204
    checksum = "sha256 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    send_part(served_process, headers | {"Upload-Checksum": checksum}, location, data, MIB, 6 * MIB)
    served_process.start()
    assert offset(served_process, headers, location) == MIB


def test_memory_stays_flat_while_a_large_upload_arrives(served_process: ServedProcess) -> None:
    headers = token(served_process)
    piece = os.urandom(MIB)
    size = 256 * MIB
    location = begin(served_process, headers, size)
    before = served_process.memory_bytes()
    peak = before
    digest = hashlib.sha256()

    def body() -> object:
        nonlocal peak
        for number in range(size // MIB):
            if number % 8 == 0:
                peak = max(peak, served_process.memory_bytes())
            digest.update(piece)
            yield piece

    sent = httpx.patch(
        served_process.url + location,
        headers=headers | PIECE | {"Upload-Offset": "0", "Content-Length": str(size)},
        content=body(),  # type: ignore[arg-type]
        timeout=120,
    )
    assert sent.status_code == 204, sent.text
    peak = max(peak, served_process.memory_bytes())
    made = httpx.post(
        f"{served_process.url}/api/v1/datasets",
        json=entry(location.rsplit("/", 1)[1]),
        headers=headers,
        timeout=60,
    )
    assert made.json()["sha256"] == digest.hexdigest()
    address = f"{served_process.url}/api/v1/datasets/{made.json()['id']}/archive"
    with httpx.stream("GET", address, headers=headers, timeout=60) as archive:
        received = 0
        for chunk in archive.iter_raw():
            received += len(chunk)
        peak = max(peak, served_process.memory_bytes())
    assert received == size
    assert (peak - before) / MIB < 48


def test_sigterm_ends_open_streams_and_the_process(served_process: ServedProcess) -> None:
    headers = token(served_process)
    location = begin(served_process, headers, 4)
    httpx.patch(
        served_process.url + location, headers=headers | PIECE | {"Upload-Offset": "0"}, content=b"data", timeout=60
    )
    made = httpx.post(
        f"{served_process.url}/api/v1/datasets", json=entry(location.rsplit("/", 1)[1]), headers=headers, timeout=60
    )
    with httpx.stream("GET", f"{served_process.url}/api/v1/datasets/{made.json()['id']}/events", timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        assert served_process.child is not None
        assert len(psutil.Process(served_process.child.pid).children(recursive=True)) == 0
        served_process.child.send_signal(signal.SIGTERM)
        for _ in lines:  # to its end: a connection that is cut in the middle is an error here
            pass
        served_process.child.wait(patience.SECONDS)
    log = served_process.log.read_text()
    assert served_process.child.returncode == 0, log[-3000:]
    assert "service-stopping" in log
    assert "bus-not-drained" not in log, "it waited in vain"


def test_a_port_in_use_is_said_in_words(served_process: ServedProcess) -> None:
    twin = subprocess.run(
        [sys.executable, "-c", SERVE],
        env=os.environ | served_process.env,
        capture_output=True,
        timeout=patience.SECONDS,
        check=False,
        text=True,
    )
    assert twin.returncode != 0
    assert f"cannot listen on {served_process.env['POTLUCK_GATEWAY_ADDRESS']}" in twin.stderr
    assert "POTLUCK_GATEWAY_ADDRESS" in twin.stderr
