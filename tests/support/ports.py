"""Ports for the servers of tests: never one that another worker of the same run chooses."""

import os
import secrets
from collections.abc import Iterator
from functools import cache
from itertools import cycle

from onemachine import process
from onemachine.ports import is_free


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now, from those that belong to this worker.

    Between the choice and the server's start, and while a killed server is away, nobody else of this run takes it.
    """
    return next((port for port in _of_this_worker() if is_free("127.0.0.1", port)), None) or process.free_port()


@cache
def _of_this_worker() -> Iterator[int]:
    """One after the other, so that none comes twice; from a random one on, for the sake of other runs."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = process.choosable_ports()[worker::workers]
    first = secrets.randbelow(len(ports)) if ports else 0
    return cycle([*ports[first:], *ports[:first]])
