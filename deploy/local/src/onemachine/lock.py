"""One supervisor a state folder. The lock is the kernel's: it is free again however its holder ends."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Protocol

from onemachine.errors import AlreadyRunning


@dataclass(frozen=True, slots=True)
class Holder:
    """Who runs the platform of a state folder. `address` is 'starting' until it is known.

    registry  host:port where programs query the registry
    """

    pid: int
    address: str
    registry: str = ""


class Announce(Protocol):
    """Told the site's address, and the registry's."""

    def __call__(self, address: str, registry: str = "") -> None: ...


def _acquired(file: IO[str]) -> bool:
    for _ in range(5):  # who only looks whether it is held, holds it for a moment
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


class StateLock:
    def __init__(self, state: Path) -> None:
        self._state = state
        self._file = state / "supervisor.lock"

    @contextmanager
    def held(self) -> Iterator[Announce]:
        """Hold the lock while the block runs. Raises AlreadyRunning. The block gets a function that announces
        the addresses to whoever asks."""
        with self._file.open("a+") as file:
            if not _acquired(file):
                raise AlreadyRunning(self._sentence())

            def announce(address: str, registry: str = "") -> None:
                file.truncate(0)
                file.write(json.dumps(asdict(Holder(os.getpid(), address, registry))))
                file.flush()

            announce("starting")
            yield announce

    def holder(self) -> Holder | None:
        """Who holds the lock now, if anyone does."""
        try:
            with self._file.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return self._read()
        except FileNotFoundError:
            return None
        return None

    def wait_until_free(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.holder() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _read(self) -> Holder:
        for _ in range(50):  # the holder writes right after it has locked
            try:
                return Holder(**json.loads(self._file.read_text()))
            except ValueError:
                time.sleep(0.02)
        raise AlreadyRunning(f"another supervisor is just starting in {self._state}; try again")

    def _sentence(self) -> str:
        holder = self._read()
        return (
            f"the platform already runs: {holder.address}, supervisor pid {holder.pid}, state in {self._state}."
            " `make down` stops it; a second one needs a state folder and a port of its own (--state, --port)"
        )
