"""The archive again, without what must not be passed on (POTCAR files): a tar, compressed with Zstandard."""

import os
import tarfile
from pathlib import Path
from typing import IO, Any, cast

import zstandard

_LEVEL = 3


def pack(arguments: dict[str, Any], _inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; output: the archive. Equal trees give equal bytes: no times, owners or modes.

    `without`: paths relative to `tree`. Files that share their content (links, once) are stored once.
    """
    root = Path(arguments["tree"])
    without = set(arguments["without"])
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with (
        compressor.stream_writer(outputs[0], closefd=False) as compressed,
        tarfile.open(fileobj=cast(IO[bytes], compressed), mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        stored: dict[int, str] = {}
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                inside = str(path.relative_to(root))
                if inside not in without:
                    _add(archive, path, inside, stored)
            if not names and not folders:
                _add_folder(archive, str(Path(folder).relative_to(root)))
            # Kept by tarfile for reading, which nobody does here.
            archive.members.clear()  # type: ignore[attr-defined]


def _add(archive: tarfile.TarFile, path: Path, inside: str, stored: dict[int, str]) -> None:
    about = path.lstat()
    member = tarfile.TarInfo(inside)
    member.mode = 0o644
    if about.st_nlink > 1:
        first = stored.setdefault(about.st_ino, inside)
        if first != inside:
            member.type, member.linkname = tarfile.LNKTYPE, first
            archive.addfile(member)
            return
    member.size = about.st_size
    with path.open("rb") as content:
        archive.addfile(member, content)


def _add_folder(archive: tarfile.TarFile, inside: str) -> None:
    if inside == ".":
        return
    member = tarfile.TarInfo(inside)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(member)
