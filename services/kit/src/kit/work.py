"""Folders for work in progress: of one process alone, gone when it ends, however it ends."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_LOCK = ".lock"
_PREFIX = "process-"


@contextmanager
def work_folder(base: Path) -> Iterator[Path]:
    """A folder below `base` that a lock marks as in use; what killed processes left there is removed first.

    Any number of processes may share `base`.
    """
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_abandoned(base)
    path, lock = _locked(base)
    with lock:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _locked(base: Path) -> tuple[Path, IO[str]]:
    """A new folder, and the open file whose lock says that it is in use."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        lock = (path / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock.fileno()).st_nlink:
            return path, lock
        # Before it was locked a process that starts at the same moment took it for abandoned, and removed it.
        lock.close()


def _remove_abandoned(base: Path) -> None:
    for path in base.glob(f"{_PREFIX}*"):
        try:
            with (path / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Under its lock: whoever has just made it and waits for the lock finds it gone.
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue
        except FileNotFoundError:
            # Either just being made or half removed; only an old one is surely the latter.
            if _is_old(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_old(path: Path, seconds: float = 60) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < path.parent.stat().st_mtime - seconds
    return False
