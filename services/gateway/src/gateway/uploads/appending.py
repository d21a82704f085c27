"""Writing past the page cache.

An upload is read again once, by ingest, if at all. In the page cache it would push out what the database reads all the
time, and copying it there costs more processor time than hashing it.
"""

import errno
import os
from pathlib import Path

BLOCK = 4096
"""Offsets, sizes and addresses are multiples of this: what disks and file systems ask for today."""
SMALLEST = 256 << 10
"""For less the disk is not waited for."""


class Appender:
    """Appends to a file: whole blocks straight to the disk where the file system has that (O_DIRECT), else as usual."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._direct: int | None = None
        self._tried = not hasattr(os, "O_DIRECT")

    def append(self, data: memoryview) -> None:
        """Data at a page's beginning. Raises OSError, e.g. for a full disk: what was written before stays."""
        at = os.fstat(self._descriptor).st_size
        while data:
            whole = len(data) - len(data) % BLOCK
            direct = self._opened() if at % BLOCK == 0 and whole >= SMALLEST else None
            written = self._straight(direct, data[:whole]) if direct is not None else os.write(self._descriptor, data)
            data, at = data[written:], at + written

    def close(self) -> None:
        if self._direct is not None:
            os.close(self._direct)
            self._direct = None

    def _opened(self) -> int | None:
        if not self._tried:
            self._tried = True
            try:
                self._direct = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_DIRECT)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
        return self._direct

    def _straight(self, descriptor: int, data: memoryview) -> int:
        """How much was written; nothing when this file system wants it otherwise, which is not asked of it again."""
        try:
            return os.write(descriptor, data)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.close()
            return 0
