"""Where archives are opened and parsed: a folder of this process, one a dataset below it, and shared caches."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kit.work import work_folder

_SHARED = "caches"


class WorkFolder:
    """This process's folder below `base`. Raises PermissionError when `base` belongs to another user."""

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
        with work_folder(base) as path:
            yield cls(path, caches)

    @contextlib.contextmanager
    def job(self) -> Iterator[Path]:
        """An empty folder for one dataset, removed afterwards."""
        path = Path(tempfile.mkdtemp(prefix="dataset-", dir=self.path))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
