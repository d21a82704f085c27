"""What a worker fetched from object storage, kept for later rounds: one file a content, named by its SHA-256."""

import asyncio
import os
import shutil
from pathlib import Path

from contracts.base import BlobRef
from kit.blobs import Blobs, file_sha256


class Cache:
    """Workers on one machine may share the folder: files appear whole, by a rename."""

    def __init__(self, folder: Path, blobs: Blobs, max_bytes: int) -> None:
        self._folder = folder
        self._blobs = blobs
        self._max_bytes = max_bytes

    async def read(self, ref: BlobRef) -> bytes:
        """The verified content. Raises BlobMissing, BlobCorrupt."""
        path = await self._fetched(ref)
        return await asyncio.to_thread(path.read_bytes)

    async def place(self, ref: BlobRef, target: Path) -> None:
        """Put the verified content at `target`, which trimming never touches. Raises BlobMissing, BlobCorrupt."""
        for last in (False, True):
            path = await self._fetched(ref)
            try:
                await asyncio.to_thread(_link_or_copy, path, target)
            except FileNotFoundError:  # another worker trimmed it meanwhile
                if last:
                    raise
            else:
                return

    def trim(self) -> int:
        """Remove the files that were longest unused until the rest fits; returns how many."""
        entries = sorted(
            ((stat.st_mtime, stat.st_size, path) for path, stat in self._entries()), key=lambda one: one[0]
        )
        total = sum(size for _, size, _ in entries)
        removed = 0
        for _, size, path in entries:
            if total <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
            removed += 1
        return removed

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            try:
                found.append((path, path.stat()))
            except FileNotFoundError:  # another worker trimmed it
                continue
        return found

    async def _fetched(self, ref: BlobRef) -> Path:
        path = self._folder / ref.sha256
        if path.exists() and await asyncio.to_thread(file_sha256, path) == ref.sha256:
            os.utime(path)
            return path
        await self._blobs.get_file(ref, path)
        return path


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
