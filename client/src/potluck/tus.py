"""Sending one file by tus 1.0 (https://tus.io/protocols/resumable-upload): the server's offset is the truth."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping

import httpx

from potluck import stopping
from potluck.chunks import Chunk, Chunks
from potluck.errors import Corrupt, Problem, UnexpectedAnswer
from potluck.pending import Archive, Part
from potluck.retry import RETRIED_STATUS, Patience, retry_after
from potluck.transport import Transport, problem

# The server discards a chunk that breaks off: small chunks for bad connections, large ones for good.
CHUNK_BYTES = 8 << 20
SMALLEST_CHUNK_BYTES = 128 << 10
PIECE_BYTES = 256 << 10
MAX_DAMAGED_CHUNKS = 5
TUS = {"Tus-Resumable": "1.0.0"}

Report = Callable[[int, int], None]


class FileHash:
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
                stopping.check()
                self._digest.update(piece)
                self._upto += len(piece)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class Endpoint:
    """What a tus server is asked for, besides bytes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, size: int, metadata: Mapping[str, str], headers: Mapping[str, str] | None = None) -> str:
        """The address of a new upload of `size` bytes."""
        packed = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())
        told = {**TUS, "Upload-Length": str(size), "Upload-Metadata": packed, **(headers or {})}
        try:
            response = self._transport.request("POST", "uploads", headers=told, idempotency_key=str(uuid.uuid4()))
        except Problem as refused:
            # An address with a ticket in it is not told twice: what was begun there expires by itself.
            if not refused.kind.endswith(":shown-once"):
                raise
            response = self._transport.request("POST", "uploads", headers=told, idempotency_key=str(uuid.uuid4()))
        location = response.headers.get("Location")
        if not location:
            raise UnexpectedAnswer("the server opened an upload and did not say where", where="POST uploads")
        return self._transport.url(location)

    def head(self, upload: str) -> httpx.Headers | None:
        """How an upload stands; None when the server does not know it (any more)."""
        try:
            return self._transport.request("HEAD", upload, headers=TUS).headers
        except Problem as refused:
            # Gone, or another account's: either way it is sent anew.
            if refused.status in (403, 404, 410):
                return None
            raise

    def offset(self, upload: str, size: int) -> int | None:
        """What the server holds of it, in bytes; None when it does not know the upload, or as one of another size."""
        headers = self.head(upload)
        if headers is None or headers.get("Upload-Length") not in (None, str(size)):
            return None
        return int(headers["Upload-Offset"])


class PartSender:
    """Sends some bytes of an archive to one address and survives lost connections and restarts of the server.

    `report(sent)` is told the bytes of this part as they leave; `taken(start, chunk)` each chunk, before it is sent, in
    another thread.
    """

    def __init__(
        self,
        transport: Transport,
        archive: Archive,
        part: Part,
        report: Callable[[int], None],
        taken: Callable[[int, bytes], None] = lambda start, chunk: None,
    ) -> None:
        self._transport = transport
        self._endpoint = Endpoint(transport)
        self._archive = archive
        self._part = part
        self._report = report
        self._taken = taken
        self._chunk_bytes = CHUNK_BYTES

    def send(self, offset: int) -> None:
        """From `offset`, where the server stands, to the end of the part."""
        patience = self._transport.new_patience()
        damaged = 0
        self._report(offset)
        with Chunks(self._archive.path, self._part.start + self._part.size, self._taken) as chunks:
            while offset < self._part.size:
                chunk = chunks.at(self._part.start + offset, self._chunk_bytes)
                reached = self._send_chunk(offset, chunk, patience)
                if reached is None:
                    damaged += 1
                    if damaged > MAX_DAMAGED_CHUNKS:
                        raise Corrupt(
                            f"the connection damaged the same data {damaged} times",
                            where=f"{self._archive.path}, byte {chunk.start}",
                            remedy="Try another network, then run the same command again: it continues from there.",
                        )
                elif reached > offset:
                    patience.progressed()
                    damaged = 0
                offset = offset if reached is None else reached
                self._report(offset)

    def _send_chunk(self, offset: int, chunk: Chunk, patience: Patience) -> int | None:
        """The server's offset afterwards; None when the chunk arrived damaged and has to be sent again."""
        if not chunk.data:
            self._archive.unchanged()
        headers = TUS | {
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(chunk.data)),
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {base64.b64encode(chunk.sha256).decode()}",
        }
        content, upload = self._pieces(offset, chunk.data), self._part.upload
        try:
            response = self._transport.send_once("PATCH", upload, headers=headers, content=content)
        except httpx.TransportError as error:
            self._chunk_bytes = max(self._chunk_bytes // 2, min(SMALLEST_CHUNK_BYTES, CHUNK_BYTES))
            if not patience.wait():
                raise self._transport.unreachable(error) from error
            return self._agreed_offset()
        if response.status_code == 204:
            self._chunk_bytes = min(self._chunk_bytes * 2, CHUNK_BYTES)
            return int(response.headers["Upload-Offset"])
        if response.status_code == 460:
            return None
        if response.status_code == 409 or response.status_code in RETRIED_STATUS:
            if not patience.wait(retry_after(response)):
                raise problem(response)
            return self._agreed_offset()
        raise problem(response)

    def _agreed_offset(self) -> int:
        offset = self._endpoint.offset(self._part.upload, self._part.size)
        if offset is None:
            raise UnexpectedAnswer(
                "the server no longer knows this upload",
                where=str(self._archive.path),
                remedy="Run the same command again: it sends anew what is missing.",
            )
        return offset

    def _pieces(self, offset: int, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), PIECE_BYTES):
            stopping.check()
            piece = chunk[start : start + PIECE_BYTES]
            yield piece
            self._report(offset + start + len(piece))
