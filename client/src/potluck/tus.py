"""Sending one file by tus 1.0 (https://tus.io/protocols/resumable-upload): the server's offset is the truth."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from potluck import stopping
from potluck.errors import Corrupt, Problem, UnexpectedAnswer
from potluck.pending import Archive, PendingUploads
from potluck.retry import RETRIED_STATUS, Patience, retry_after
from potluck.transport import Transport, problem

# The server discards a chunk that breaks off: small chunks for bad connections, large ones for good.
CHUNK_BYTES = 8 << 20
SMALLEST_CHUNK_BYTES = 128 << 10
PIECE_BYTES = 256 << 10
MAX_DAMAGED_CHUNKS = 5
TUS = {"Tus-Resumable": "1.0.0"}

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SentArchive:
    """An archive that the server holds completely."""

    upload_id: str
    sha256: str


class _FileHash:
    """SHA-256 of a file's beginning, extended as more of it is sent: each byte is hashed once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._digest = hashlib.sha256()
        self._upto = 0

    def extend(self, start: int, chunk: bytes) -> None:
        """Takes in the bytes at `start`, reading from the file what lies before and was not hashed yet."""
        self.read_to(start)
        self._digest.update(chunk[self._upto - start :])
        self._upto = max(self._upto, start + len(chunk))

    def read_to(self, end: int) -> None:
        if end <= self._upto:
            return
        with self._archive.path.open("rb") as file:
            file.seek(self._upto)
            while self._upto < end and (piece := file.read(min(CHUNK_BYTES, end - self._upto))):
                self._digest.update(piece)
                self._upto += len(piece)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class Sender:
    """Sends one archive and survives lost connections, restarts of the server and of this program.

    `report(sent, total)` is called in bytes as they leave.
    """

    def __init__(
        self,
        transport: Transport,
        pending: PendingUploads,
        archive: Archive,
        report: Report,
        region: str | None = None,
    ) -> None:
        self._transport = transport
        self._pending = pending
        self._archive = archive
        self._report = report
        self._region = region
        self._hash = _FileHash(archive)
        self._chunk_bytes = CHUNK_BYTES

    def send(self) -> SentArchive:
        """Raises Problem, Unreachable, Corrupt, LocalFileError."""
        upload = self._pending.find(self._transport.server, self._archive)
        offset = self._offset(upload) if upload else None
        if upload is None or offset is None:
            upload, offset = self._create(), 0
        patience = self._transport.new_patience()
        damaged = 0
        self._report(offset, self._archive.size)
        while offset < self._archive.size:
            reached = self._send_chunk(upload, offset, patience)
            if reached is None:
                damaged += 1
                if damaged > MAX_DAMAGED_CHUNKS:
                    raise Corrupt(
                        f"the connection damaged the same data {damaged} times",
                        where=f"{self._archive.path}, byte {offset}",
                        remedy="Try another network, then run the same command again: it continues from there.",
                    )
            elif reached > offset:
                patience.progressed()
                damaged = 0
            offset = offset if reached is None else reached
            self._report(offset, self._archive.size)
        self._archive.unchanged()
        self._hash.read_to(self._archive.size)
        return SentArchive(urlsplit(upload).path.rstrip("/").rsplit("/", 1)[-1], self._hash.hexdigest())

    def _create(self) -> str:
        metadata = {"filename": self._archive.path.name} | ({"region": self._region} if self._region else {})
        packed = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = TUS | {"Upload-Length": str(self._archive.size), "Upload-Metadata": packed}
        try:
            response = self._transport.request("POST", "uploads", headers=headers, idempotency_key=str(uuid.uuid4()))
        except Problem as refused:
            # An address with a ticket in it is not told twice: what was begun there expires by itself.
            if not refused.kind.endswith(":shown-once"):
                raise
            response = self._transport.request("POST", "uploads", headers=headers, idempotency_key=str(uuid.uuid4()))
        location = response.headers.get("Location")
        if not location:
            raise UnexpectedAnswer("the server opened an upload and did not say where", where="POST uploads")
        upload = self._transport.url(location)
        self._pending.remember(self._transport.server, self._archive, upload)
        return upload

    def _offset(self, upload: str) -> int | None:
        """What the server holds of it, in bytes; None when it does not know the upload (any more)."""
        try:
            response = self._transport.request("HEAD", upload, headers=TUS)
        except Problem as refused:
            # Gone, or another account's: either way this file is sent anew.
            if refused.status in (403, 404, 410):
                return None
            raise
        if response.headers.get("Upload-Length") not in (None, str(self._archive.size)):
            return None
        return int(response.headers["Upload-Offset"])

    def _send_chunk(self, upload: str, offset: int, patience: Patience) -> int | None:
        """The server's offset afterwards; None when the chunk arrived damaged and has to be sent again."""
        with self._archive.path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(min(self._chunk_bytes, self._archive.size - offset))
        if not chunk:
            self._archive.unchanged()
        self._hash.extend(offset, chunk)
        checksum = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
        headers = TUS | {
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(chunk)),
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {checksum}",
        }
        try:
            response = self._transport.send_once("PATCH", upload, headers=headers, content=self._pieces(offset, chunk))
        except httpx.TransportError as error:
            self._chunk_bytes = max(self._chunk_bytes // 2, min(SMALLEST_CHUNK_BYTES, CHUNK_BYTES))
            if not patience.wait():
                raise self._transport.unreachable(error) from error
            return self._agreed_offset(upload)
        if response.status_code == 204:
            self._chunk_bytes = min(self._chunk_bytes * 2, CHUNK_BYTES)
            return int(response.headers["Upload-Offset"])
        if response.status_code == 460:
            return None
        if response.status_code == 409 or response.status_code in RETRIED_STATUS:
            if not patience.wait(retry_after(response)):
                raise problem(response)
            return self._agreed_offset(upload)
        raise problem(response)

    def _agreed_offset(self, upload: str) -> int:
        offset = self._offset(upload)
        if offset is None:
            self._pending.forget(self._transport.server, self._archive)
            raise UnexpectedAnswer(
                "the server no longer knows this upload",
                where=str(self._archive.path),
                remedy="Run the same command again: it starts a new one.",
            )
        return offset

    def _pieces(self, offset: int, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), PIECE_BYTES):
            stopping.check()
            piece = chunk[start : start + PIECE_BYTES]
            yield piece
            self._report(offset + start + len(piece), self._archive.size)
