"""A service as a process of its own, for benchmarks: environment in, ready process out."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import patience
import psutil
from ports import free_port


@contextmanager
def service_process(name: str, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m <name>` while the block lasts, ready when it begins; stopped by SIGTERM."""
    port = free_port()
    own = {**environment, f"POTLUCK_{name.upper()}_HEALTH_ADDRESS": f"127.0.0.1:{port}"}
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", name], env={"PATH": os.defpath, **own}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + patience.SECONDS
        while not _ready(port):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start; its log ends:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:  # of which URLError and TimeoutError are kinds
        return False


def memory(pid: int) -> int:
    """Bytes of a process and its children (proportional set size where it is told); 0 when it has ended."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            total += process.memory_info().rss
    return total


def spans(path: Path) -> Iterator[dict[str, Any]]:
    """The spans that a service left in its `traces_file`."""
    for line in path.read_text().splitlines():
        yield json.loads(line)
