"""Safe extraction of what a stranger packed: zip, tar (gz, bz2, xz, zst), one compressed file, or a plain file.

Only regular files are ever created, one at a time, by this module's own code; links become hard links to
files inside. Whatever smells wrong raises Refused with the member's name.
"""

import bz2
import errno
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import zstandard

from ingest.confined.names import begins_like_potcar, decoded, is_potcar
from ingest.confined.noticed import Noticed

CHUNK = 1 << 20
_MAX_DEPTH = 64
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
SUFFIXES = (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".gz", ".bz2", ".xz", ".zst")
_NEVER_OPENED = (".7z", ".rar")
_FOLLOW = "Leave the link out, or pack what it leads to: `tar czhf data.tar.gz folder` follows links."
_LEAVE_OUT = "Look at this file: if it is no result of a calculation, leave it out and upload the archive again."
_REPACK = "Pack the folder with your calculations again, e.g. with `tar czf data.tar.gz folder`, and upload it."
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile,
    EOFError, NotImplementedError, RuntimeError, UnicodeError, OSError,
)  # fmt: skip


def printable(text: str) -> str:
    """Names in another encoding come as lone surrogates, which no JSON reader takes."""
    return text.encode("utf-8", "replace").decode()


class Refused(Exception):
    """The archive is not opened any further; rule, reason and remedy are for the contributor."""

    def __init__(self, rule: str, reason: str, remedy: str = _REPACK) -> None:
        super().__init__(reason)
        self.rule, self.reason, self.remedy = rule, printable(reason), remedy


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    max_members: int
    max_bytes: int
    max_ratio: float
    # Text compresses well: the ratio is looked at only beyond this many bytes.
    ratio_from_bytes: int


@dataclass
class Extraction:
    """Writes members below `root`, counting members and bytes over the archive and those nested in it.

    tell  called with the number of files so far, after each of them
    """

    root: Path
    limits: ArchiveLimits
    archive_bytes: int
    tell: Callable[[int], None] = lambda files: None
    members: int = 0
    files: int = 0
    written: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)
    noticed: Noticed = field(default_factory=Noticed)
    _potcars: set[int] = field(default_factory=set)
    _closed: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)
    _packed: set[str] = field(default_factory=set)
    _may_be_private: bool = False
    _beyond: int = field(init=False)

    def __post_init__(self) -> None:
        # Where paths relative to the root begin.
        self._beyond = len(str(self.root)) + 1

    def archive(self, file: IO[bytes], filename: str) -> None:
        """Extracts the archive, then archives inside it once. Raises Refused."""
        self._open(file, filename, self.root, shown="")
        nested, self._packed = sorted(self._packed), set()
        for path in map(Path, nested):
            if kind := _kind(path):
                self.noticed.give_up()
                self._nested(path, kind)

    def private(self) -> list[str]:
        """Files that must not be passed on, relative to the root: POTCARs, and archives that were not looked into."""
        found: list[str] = []
        if not self._may_be_private:
            return found
        for folder, _, names in os.walk(str(self.root)):
            for name in names:
                path = f"{folder}/{name}"
                inside = path[self._beyond :]
                closed = inside in self._closed or name.lower().endswith(_NEVER_OPENED)
                if closed or is_potcar(name) or (self._potcars and os.lstat(path).st_ino in self._potcars):
                    found.append(inside)
        return sorted(found)

    def _nested(self, path: Path, kind: str) -> None:
        shown = str(path.relative_to(self.root))
        packed = path.with_name(f".{path.name[:200]}.packed")
        path.rename(packed)
        try:
            with packed.open("rb") as file:
                self._open(file, path.name, path, shown=f"{shown}/")
        except Refused as refusal:
            if refusal.rule != "archive-unreadable":
                raise
            remedy = "Repair or leave out this archive inside the archive."
            self._note(shown, "archive-unreadable", refusal.reason, remedy)
        packed.unlink()
        if not path.is_dir():
            return
        single = list(path.iterdir())
        if kind not in ("zip", "tar") and len(single) == 1 and single[0].is_file():
            # `OUTCAR.gz` becomes `OUTCAR` in its own folder: formats go by names.
            target = path.with_name(single[0].name)
            if not target.exists():
                single[0].rename(target)
                path.rmdir()
                self._folders.discard(str(path))
        for inner in map(Path, _files(path) if path.is_dir() else ()):
            if inner.name.lower().endswith(SUFFIXES) and _kind(inner):
                remedy = "Unpack inner archives before packing the outer one."
                name = str(inner.relative_to(self.root))
                self._closed.add(name)
                self._note(name, "nested-too-deep", "an archive inside an archive inside an archive", remedy)

    def _open(self, file: IO[bytes], filename: str, root: Path, shown: str) -> None:
        head = file.read(512)
        file.seek(0)
        kind = kind_of(head)
        root.mkdir(exist_ok=True)
        try:
            if kind == "zip":
                self._zip(file, root, shown)
            elif kind in ("tar", "v7-tar"):
                self._tar(file, root, shown)
            elif kind in _STREAMS:
                self._compressed(_STREAMS[kind](file), filename, root, shown)
            elif kind in ("7z", "rar"):
                raise Refused("archive-unsupported", f"{filename} is a {kind} archive, which is not supported")
            else:
                self._store(file, self._target(filename.lstrip("/"), root, shown), shown + filename)
        except Refused:
            raise
        except MemoryError:
            raise Refused("archive-unreadable", f"{shown}{filename} needs too much memory to unpack") from None
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # our disk, not their archive
            # The words of an operating system error name folders of this machine.
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            reason = f"{shown}{filename} cannot be unpacked: {words or type(error).__name__}"
            raise Refused("archive-unreadable", reason) from error

    def _compressed(self, stream: IO[bytes], filename: str, root: Path, shown: str) -> None:
        """A tar below the compression, or one compressed file."""
        peeked = _Peeked(stream)
        if kind_of(peeked.head) in ("tar", "v7-tar"):
            self._tar(cast(IO[bytes], peeked), root, shown)
            return
        name = filename
        for suffix in SUFFIXES:
            name = name.removesuffix(suffix)
        self._store(cast(IO[bytes], peeked), self._target(name or "data", root, shown), shown + filename)

    def _zip(self, file: IO[bytes], root: Path, shown: str) -> None:
        links: list[tuple[str, str]] = []
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = _zip_name(member).replace("\\", "/")
                target = self._target(name, root, shown)
                if member.is_dir():
                    self._make_folder(target, shown + name)
                    continue
                if member.flag_bits & 0x1:
                    remedy = "Pack it again without a password."
                    raise Refused("archive-encrypted", f"{shown}{name} is encrypted", remedy)
                mode = member.external_attr >> 16
                if stat.S_ISLNK(mode):
                    if member.file_size > 4096:
                        raise Refused("archive-climbs", f"{shown}{name} is a link with an endless target")
                    links.append((name, _text(os.fsdecode(archive.read(member)))))
                elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise Refused("archive-device", f"{shown}{name} is a device, pipe or socket")
                else:
                    with archive.open(member) as content:
                        self._store(content, target, shown + name)
        self._link(links, root, shown)

    def _tar(self, file: IO[bytes], root: Path, shown: str) -> None:
        links: list[tuple[str, str]] = []
        with tarfile.open(fileobj=file, mode="r|", errorlevel=2) as archive:
            while (member := archive.next()) is not None:
                # Kept by tarfile for going back, which a stream cannot.
                archive.members.clear()  # type: ignore[attr-defined]
                name, linkname = _text(member.name), _text(member.linkname)
                target = self._target(name, root, shown)
                if member.isdir():
                    self._make_folder(target, shown + name)
                elif member.issym():
                    links.append((name, linkname))
                elif member.islnk():
                    # A hard link names its target from the archive's root.
                    links.append((name, os.path.relpath(linkname, PurePosixPath(name).parent)))
                elif member.isreg():
                    content = archive.extractfile(member)
                    if content is not None:
                        self._store(content, target, shown + name)
                else:
                    raise Refused("archive-device", f"{shown}{name} is a device, pipe or socket")
        self._link(links, root, shown)

    def _target(self, name: str, root: Path, shown: str) -> str:
        """Where a member goes. Raises Refused for a path that leaves, and beyond the allowed number."""
        # As text: a Path for each of a million members takes a minute.
        self.members += 1
        if self.members > self.limits.max_members:
            reason = f"more than {self.limits.max_members:,} members; the first too many is {shown}{name}"
            raise Refused("archive-too-many-members", reason, "Upload the calculations in several datasets.")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or name[1:2] == ":":
            raise Refused("archive-climbs", f"the path of {shown}{name} leads out of the archive")
        if "\0" in name or len(parts) > _MAX_DEPTH or any(len(os.fsencode(part)) > 255 for part in parts):
            raise Refused("archive-bad-name", f"{shown}{name[:200]!r} is no usable file name")
        return "/".join([str(root), *parts])

    def _store(self, content: IO[bytes], target: str, shown: str) -> None:
        self._make_folder(target.rpartition("/")[0], shown)
        self._note_name(target)
        file = self._created(target, shown)
        start, before = b"", self.written
        try:
            while chunk := content.read(CHUNK):
                if not start:
                    start = chunk
                    if begins_like_potcar(chunk):
                        self._potcars.add(os.fstat(file).st_ino)
                        self._may_be_private = True
                self.written += len(chunk)
                self._check_size(shown)
                _write(file, chunk)
                self.tell(self.files)
        finally:
            os.close(file)
        self.noticed.file(target[self._beyond :], start, self.written - before)
        self.files += 1
        self.tell(self.files)

    def _note_name(self, path: str) -> None:
        """Most archives have no archive inside and nothing private, and need not be walked for it."""
        name = path.rpartition("/")[2]
        if name.lower().endswith(SUFFIXES):
            self._packed.add(path)
            self._may_be_private = True
        elif is_potcar(name) or name.lower().endswith(_NEVER_OPENED):
            self._may_be_private = True

    def _created(self, target: str, shown: str) -> int:
        """A new file's descriptor; of two members with one name the last one counts."""
        try:
            return os.open(target, _NEW, 0o666)
        except FileExistsError:
            if Path(target).is_dir():
                reason = f"{shown} is a folder in one place of the archive and a file in another"
                raise Refused("archive-bad-name", reason) from None
            Path(target).unlink()
            self.noticed.give_up()
            return os.open(target, _NEW, 0o666)

    def _make_folder(self, path: str, shown: str) -> None:
        if path in self._folders:
            return
        try:
            os.makedirs(path, exist_ok=True)  # noqa: PTH103 - see _target
        except (FileExistsError, NotADirectoryError) as error:
            reason = f"{shown} lies in a folder that is a file elsewhere in the archive"
            raise Refused("archive-bad-name", reason) from error
        self._folders.add(path)
        if self.noticed.complete:
            self.noticed.folder(path[self._beyond :])

    def _check_size(self, shown: str) -> None:
        ratio = self.written / max(1, self.archive_bytes)
        if self.written > self.limits.ratio_from_bytes and ratio > self.limits.max_ratio:
            reason = (
                f"expands to more than {self.limits.max_ratio:g} times its size, while unpacking {shown}:"
                " that is what decompression bombs do"
            )
            raise Refused("archive-bomb", reason, _LEAVE_OUT)
        if self.written > self.limits.max_bytes:
            reason = f"unpacks to more than {self.limits.max_bytes / 1e9:.1f} GB, while unpacking {shown}"
            remedy = "Leave out what is not needed (wave functions, densities), or upload several datasets."
            raise Refused("archive-too-large", reason, remedy)

    def _link(self, links: list[tuple[str, str]], root: Path, shown: str) -> None:
        """Links become hard links to the file that they name; a link out of the archive is refused."""
        for name, to in links:
            target = os.path.normpath(PurePosixPath(name).parent / to)
            if to.startswith("/") or target.startswith(".."):
                raise Refused("archive-climbs", f"the link {shown}{name} leads out of the archive, to {to}", _FOLLOW)
            source, link = root / target, root / name
            if source.is_file() and not link.exists():
                self._make_folder(str(link.parent), shown + name)
                os.link(source, link)
                self.noticed.give_up()
                self._note_name(str(link))
            elif not source.exists():
                remedy = "Pack the file itself (`tar --dereference`)."
                self._note(shown + name, "link-to-nothing", f"a link to {to}, which is not in the archive", remedy)

    def _note(self, path: str, rule: str, reason: str, remedy: str) -> None:
        self.notes.append({"path": printable(path), "rule": rule, "reason": printable(reason), "remedy": remedy})


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Without the flag for UTF-8 zipfile takes every name for DOS's code page 437."""
    if member.flag_bits & 0x800:
        return member.filename
    return decoded(member.filename.encode("cp437")) or member.filename


def _text(text: str) -> str:
    """What is not UTF-8 comes as surrogates."""
    return text if text.isascii() else decoded(os.fsencode(text)) or text


def _write(file: int, data: bytes) -> None:
    """A system call may take less than it is given."""
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, data[written:])


class _Peeked:
    """A stream whose first bytes have been looked at."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.head = b""
        while len(self.head) < 512 and (chunk := stream.read(512 - len(self.head))):
            self.head += chunk
        self._left = self.head

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            return self._stream.read(size)
        wanted = len(self._left) if size < 0 else size
        first, self._left = self._left[:wanted], self._left[wanted:]
        if size < 0:
            return first + self._stream.read()
        return first


_STREAMS = {
    "gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    "bz2": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
    "xz": lambda file: cast(IO[bytes], lzma.LZMAFile(file)),  # noqa: SIM115 - read to its end, owns nothing
    "zst": lambda file: cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)),
}

_MAGIC = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gz"), (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zst"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "rar"),
)  # fmt: skip


def kind_of(head: bytes) -> str | None:
    """What a file is that begins so: zip, tar, v7-tar, a compression, 7z or rar; None for what is no archive."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    # Nothing but zeros is how a tar archive of no files begins.
    if head[257:262] == b"ustar" or head == bytes(512):
        return "tar"
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return "v7-tar"


def _kind(path: Path) -> str | None:
    with path.open("rb") as file:
        return kind_of(file.read(512))


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(str(root)):
        for name in names:
            yield f"{folder}/{name}"
