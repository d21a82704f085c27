"""Fetching a file: continues a part that is here already, and trusts nothing but its SHA-256."""

import hashlib
import io
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from potluck import stopping
from potluck.errors import NO_ROOM, Corrupt, LocalFileError, UnexpectedAnswer
from potluck.resources import ModelFile
from potluck.retry import RETRIED_STATUS, Patience, retry_after
from potluck.transport import Transport, problem

# The bytes themselves: their hash is not that of a compressed answer.
RAW = {"Accept": "*/*", "Accept-Encoding": "identity"}

BATCH_BYTES = 1 << 20
BATCHES_UNDER_WAY = 4

Report = Callable[[int, int], None]


def fetch(transport: Transport, file: ModelFile, folder: Path, report: Report) -> Path:
    """Puts `file` into `folder` and returns its path. `report(received, total)` in bytes.

    What arrives is kept as `NAME.part` until its SHA-256 is right, so a rerun continues there.
    Raises Problem, Unreachable, Corrupt, LocalFileError.
    """
    with _on_this_disk(folder, file):
        target = _target(file, folder)
        if target.exists() and sha256_of(target) == file.sha256:
            report(file.size, file.size)
            return target
        part = target.with_name(target.name + ".part")
        _room_for(file, part, folder)
        arriving = _Arriving(part)
        patience = transport.new_patience()
        while not part.exists() or arriving.have < file.size:
            before = arriving.have
            try:
                again = _receive(transport, file, arriving, patience, report)
            except httpx.TransportError as error:
                if arriving.have > before:
                    patience.progressed()
                if not patience.wait():
                    raise transport.unreachable(error) from error
                continue
            if not again:
                break
        if arriving.hexdigest() != file.sha256:
            part.unlink()
            raise Corrupt(
                "what arrived is not the file that was published: its SHA-256 differs",
                where=file.name,
                remedy="Run the same command again; if it happens twice, tell the people who run the server.",
            )
        part.replace(target)
        return target


class _Arriving:
    """A file as it grows; each byte is hashed once, as it is written."""

    def __init__(self, part: Path) -> None:
        self.path = part
        self.have = part.stat().st_size if part.exists() else 0
        self._hash: hashlib._Hash | None = None

    def append(self, pieces: Iterator[bytes], start: int, size: int, report: Report, name: str) -> None:
        """Writes what comes, from byte `start`. Raises UnexpectedAnswer beyond `size` bytes."""
        digest = self._hash_to(start)
        self._hash = None  # while it is not that of what is on the disk
        with self.path.open("r+b" if start else "wb", buffering=0) as out:
            out.seek(start)
            self.have = start
            taking = _Taking(out, digest)
            try:
                for batch in _batches(pieces):
                    self.have += sum(map(len, batch))
                    if self.have > size:
                        raise UnexpectedAnswer(f"the server sends more than the {size} bytes it told", where=name)
                    taking.take(batch)
                    report(self.have, size)
            finally:
                # Also after a broken connection or on a full disk: what is written is known.
                self.have = start + taking.end()
                out.truncate(self.have)
                if taking.hashed == self.have - start:
                    self._hash = digest
        taking.check()

    def hexdigest(self) -> str:
        return self._hash_to(self.have).hexdigest()

    def _hash_to(self, end: int) -> "hashlib._Hash":
        """Of the first `end` bytes: what is known, else read from the disk."""
        if end == 0:
            return hashlib.sha256()
        if self._hash is not None and end == self.have:
            return self._hash
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256")


def _batches(pieces: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Of a megabyte: pieces are of 64 to 256 KiB, and handing each to a thread costs as much as its hash."""
    batch: list[bytes] = []
    held = 0
    try:
        for piece in pieces:
            stopping.check()
            batch.append(piece)
            held += len(piece)
            if held >= BATCH_BYTES:
                yield batch
                batch, held = [], 0
    except (httpx.TransportError, stopping.Stopped):
        # What came before the connection broke counts.
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class _Taking:
    """Writes and hashes in a thread each, while the caller goes on receiving. A few megabytes are under way."""

    def __init__(self, out: io.RawIOBase, digest: "hashlib._Hash") -> None:
        self.hashed = 0
        self._written = 0
        self._out = out
        self._digest = digest
        self._error: OSError | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="potluck-write")
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="potluck-sha256")
        self._under_way: deque[Future[None]] = deque()

    def take(self, batch: list[bytes]) -> None:
        """Raises OSError of an earlier write."""
        self.check()
        self._under_way.append(self._writer.submit(self._write, batch))
        self._under_way.append(self._hasher.submit(self._hash, batch))
        while len(self._under_way) > 2 * BATCHES_UNDER_WAY:
            self._under_way.popleft().result()

    def end(self) -> int:
        """Bytes written; nothing is under way any more."""
        self._writer.shutdown()
        self._hasher.shutdown()
        return self._written

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self, batch: list[bytes]) -> None:
        if self._error is not None:
            return
        try:
            for piece in batch:
                view = memoryview(piece)
                while view:
                    count = self._out.write(view) or 0
                    self._written += count
                    view = view[count:]
        except OSError as error:
            self._error = error

    def _hash(self, batch: list[bytes]) -> None:
        for piece in batch:
            self._digest.update(piece)
            self.hashed += len(piece)


def _receive(transport: Transport, file: ModelFile, arriving: _Arriving, patience: Patience, report: Report) -> bool:
    """Appends to the part until the answer ends; True: the server was busy, ask again."""
    have = arriving.have
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{file.sha256}"'} if have else {}
    with transport.stream(file.url, headers=headers | RAW) as response:
        if response.status_code in RETRIED_STATUS and patience.wait(retry_after(response)):
            return True
        if response.status_code not in (200, 206):
            raise problem(response)
        # 200 to a Range request: the server sends all of it, so what is here counts for nothing.
        start = have if response.status_code == 206 else 0
        arriving.append(transport.body(response), start, file.size, report, file.name)
    return arriving.have < file.size


@contextmanager
def _on_this_disk(folder: Path, file: ModelFile) -> Iterator[None]:
    """What this machine's disk refuses, in words."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise _no_room(folder, f"the disk is full: {file.name} is not complete") from error
        raise LocalFileError(
            f"cannot write there: {error.strerror}", where=str(folder), remedy="Choose another folder with -o."
        ) from error


def _room_for(file: ModelFile, part: Path, folder: Path) -> None:
    missing = file.size - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise _no_room(folder, f"{file.name} needs {missing / 1e6:,.1f} MB more, and {free / 1e6:,.1f} MB are free")


def _no_room(folder: Path, what: str) -> LocalFileError:
    return LocalFileError(
        what,
        where=str(folder),
        remedy="Make room and run the same command again: it continues where it stopped. Or choose another folder "
        "with -o.",
    )


def _target(file: ModelFile, folder: Path) -> Path:
    """A name that came over the network must not lead out of the folder."""
    if Path(file.name).name != file.name or file.name in ("", ".", ".."):
        raise UnexpectedAnswer(f"the server offers a file named {file.name!r}, which is not a plain name")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file.name


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
