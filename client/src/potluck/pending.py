"""Unfinished uploads of this machine: which upload on which server holds the bytes of which file."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from potluck.config import write_private
from potluck.errors import LocalFileError


@dataclass(frozen=True, slots=True)
class Archive:
    """A file as it was when the upload began. A changed file is another archive."""

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> "Archive":
        """Raises LocalFileError when `path` is no readable, non-empty file."""
        try:
            found = path.resolve(strict=True)
            state = found.stat()
        except OSError as error:
            raise LocalFileError(
                f"the archive cannot be read: {error.strerror}", where=str(path), remedy="Check the path."
            ) from error
        if not found.is_file():
            raise LocalFileError(
                "this is a folder, and an upload is one file",
                where=str(path),
                remedy=f"Pack it first: tar cJf {found.name}.tar.xz {path}",
            )
        if state.st_size == 0:
            raise LocalFileError("the archive is empty", where=str(path), remedy="Choose the file with your data.")
        return cls(found, state.st_size, state.st_mtime_ns)

    def unchanged(self) -> None:
        """Raises LocalFileError when the file is no longer what it was."""
        if Archive.at(self.path) != self:
            raise LocalFileError(
                "the archive changed while it was being sent",
                where=str(self.path),
                remedy="Run the same command again when nothing writes to it.",
            )


@dataclass(frozen=True, slots=True)
class Part:
    """Where some bytes of an archive go: all of them, or of one of the parts that are sent side by side."""

    upload: str
    start: int
    size: int


class PendingUploads:
    """One small JSON file for each unfinished upload, named by file path, size, time and server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "uploads"

    def find(self, server: str, archive: Archive) -> tuple[Part, ...]:
        """What an unfinished upload of that archive was cut into: one part, several, or none when there is none."""
        try:
            noted = json.loads(self._note(server, archive).read_text(encoding="utf-8"))
            if "parts" in noted:
                parts = tuple(Part(str(one["upload"]), int(one["start"]), int(one["size"])) for one in noted["parts"])
                return parts if _covers(parts, archive.size) else ()
            return (Part(str(noted["upload"]), 0, archive.size),)
        except (OSError, ValueError, KeyError, TypeError):
            return ()  # no note, or a damaged one: the upload starts afresh, nothing is lost

    def remember(self, server: str, archive: Archive, parts: Sequence[Part]) -> None:
        where = {"upload": parts[0].upload} if len(parts) == 1 else {"parts": [asdict(one) for one in parts]}
        note = asdict(archive) | {"path": str(archive.path), "server": server} | where
        write_private(self._note(server, archive), note)

    def forget(self, server: str, archive: Archive) -> None:
        self._note(server, archive).unlink(missing_ok=True)

    def _note(self, server: str, archive: Archive) -> Path:
        key = f"{server}\n{archive.path}\n{archive.size}\n{archive.mtime_ns}"
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _covers(parts: Sequence[Part], size: int) -> bool:
    """Whether they are all bytes, in order."""
    at = 0
    for one in parts:
        if one.start != at or one.size < 1:
            return False
        at += one.size
    return at == size
