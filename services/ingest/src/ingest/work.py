"""Folders for work in progress: of this process alone, gone when it ends, however it ends."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".lock"
_SHARED = "caches"


class WorkFolder:
    """A folder below `base` that a lock marks as in use; folders that a killed process left are removed first.

    Any number of processes may share `base`. Raises PermissionError when `base` belongs to another user.
    """

    def __init__(self, path: Path, caches: Path) -> None:
        self.path = path
        self.caches = caches

    @classmethod
    @contextlib.contextmanager
    def opened(cls, base: Path) -> Iterator["WorkFolder"]:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        if base.stat().st_uid != os.getuid():
            raise PermissionError(f"{base} belongs to another user: set POTLUCK_INGEST_WORK_FOLDER to one of your own")
        caches = base / _SHARED
        caches.mkdir(exist_ok=True)
        _remove_abandoned(base)
        path = Path(tempfile.mkdtemp(prefix="process-", dir=base))
        with (path / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield cls(path, caches)
            finally:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def job(self) -> Iterator[Path]:
        """An empty folder for one dataset, removed afterwards."""
        path = Path(tempfile.mkdtemp(prefix="dataset-", dir=self.path))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned(base: Path) -> None:
    for path in base.glob("process-*"):
        try:
            with (path / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except FileNotFoundError:
            # Either just being made or half removed; only an old one is surely the latter.
            if not _is_old(path):
                continue
        shutil.rmtree(path, ignore_errors=True)


def _is_old(path: Path, seconds: float = 60) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < path.parent.stat().st_mtime - seconds
    return False
