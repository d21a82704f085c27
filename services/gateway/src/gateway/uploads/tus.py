"""tus 1.0 over HTTP: creation, creation-with-upload, termination, checksum, expiration, concatenation."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from uuid import UUID

from kit.logs import get_logger
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message

from gateway.domain import Person
from gateway.people.identity import signed_in
from gateway.problems import Problem
from gateway.repeats import Repeats
from gateway.uploads import parts
from gateway.uploads.joining import Joining
from gateway.uploads.regions import UPLOADS_PATH
from gateway.uploads.spool import Busy, Gone
from gateway.uploads.upload_file import UploadFile
from gateway.uploads.uploads import Upload, Uploads, disk_problem, lost, still_written
from gateway.views.sizes import size_of

log = get_logger(__name__)

PATH = UPLOADS_PATH
TICKET = "ticket"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration,concatenation"
BODY_TYPE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460
DRAINED_BYTES = 64 << 20
DRAIN_SECONDS = 10.0
JOIN_SECONDS = 5.0
_READ = "potluck.body_read"
# Uploads to another region come from the site's pages, which are of another origin. `*` never lets a browser send or
# read anything with a cookie: what such a request may do, its ticket alone says.
ANY_ORIGIN = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Tus-Resumable, Upload-Offset, Upload-Length, Upload-Expires, Retry-After",
}
PREFLIGHT = {
    "access-control-allow-methods": "HEAD, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "Content-Type, Tus-Resumable, Upload-Offset, Upload-Checksum",
    "access-control-max-age": "7200",
}


@dataclass
class _Arrival:
    """How the body of one request came in."""

    gone: bool = False
    superseded: bool = False
    overrun: bool = False
    checksum: "hashlib._Hash | None" = None


class Tus:
    """The endpoints. Offsets are the sizes of files; nothing of a body is kept in memory."""

    def __init__(self, uploads: Uploads, joining: Joining, repeats: Repeats) -> None:
        self._uploads = uploads
        self._joining = joining
        self._repeats = repeats

    def routes(self) -> list[BaseRoute]:
        one = f"{PATH}/{{upload_id:uuid}}"
        return [
            Route(PATH, self._spoken(self.create), methods=["POST"]),
            Route(PATH, self.options, methods=["OPTIONS"]),
            Route(one, self.options, methods=["OPTIONS"]),
            # HEAD alone: Starlette would add it to a GET route, and answer a GET with no body.
            Route(one, self._spoken(self.one), methods=["HEAD", "PATCH", "DELETE"]),
        ]

    async def options(self, _request: Request) -> Response:
        headers = {
            "tus-version": VERSION,
            "tus-extension": EXTENSIONS,
            "tus-max-size": str(self._uploads.max_size),
            "tus-checksum-algorithm": "sha256",
        }
        return Response(status_code=204, headers=_with_version(headers | PREFLIGHT))

    async def create(self, request: Request) -> Response:
        person = await signed_in(request)
        concat = request.headers.get("upload-concat")
        if concat is not None and concat.startswith(parts.FINAL):
            return await self._join(request, person, concat)
        if concat not in (None, parts.PARTIAL):
            raise _bad_header(
                parts.FIELD, f"is '{concat[:40]}'", f"Send {parts.PARTIAL}, or {parts.FINAL} and addresses."
            )
        if "upload-defer-length" in request.headers:
            raise _bad_header("Upload-Defer-Length", "is not supported", "Send Upload-Length with the size in bytes.")
        size = _integer(request, "Upload-Length", "Send the size of the archive in bytes.")
        metadata = _metadata(request.headers.get("upload-metadata", ""))
        if request.headers.get("content-type") == BODY_TYPE:
            # Begun with bytes in the same request: it is they that the offset tells of, not a key.
            return await self._begin(request, person, size, metadata)
        told = {"size": size, "metadata": metadata} | ({"concat": concat} if concat else {})
        return await self._repeats.once(
            request,
            person,
            told,
            lambda: self._begin(request, person, size, metadata),
            shown_once=lambda made: f"{TICKET}=" in made.headers["location"],
        )

    async def _begin(self, request: Request, person: Person, size: int, metadata: dict[str, str]) -> Response:
        partial = parts.FIELD in request.headers
        begun = await self._uploads.begin(
            person,
            size,
            metadata.get("filename", ""),
            metadata.get("region"),
            partial=partial,
            place=parts.place(metadata.get("part")) if partial else None,
        )
        upload = await self._uploads.find(person, begun.id)
        offset = 0
        if request.headers.get("content-type") == BODY_TYPE:
            await self._uploads.place(upload)
            offset = await self._receive(request, upload, 0)
        headers = {"location": begun.location, "upload-offset": str(offset)}
        return Response(status_code=201, headers=_with_version(headers | _expires(upload)))

    async def _join(self, request: Request, person: Person, concat: str) -> Response:
        """The parts become one upload. Its bytes are put together from now on: HEAD tells when that is done."""
        metadata = _metadata(request.headers.get("upload-metadata", ""))
        where = await self._joining.begin(person, parts.addresses(concat), metadata.get("filename"))
        return Response(status_code=201, headers=_with_version({"location": where}))

    async def one(self, request: Request) -> Response:
        upload_id: UUID = request.path_params["upload_id"]
        ticket = request.query_params.get(TICKET)
        if ticket is not None:
            upload = await self._uploads.with_ticket(upload_id, ticket)
        else:
            upload = await self._uploads.find(await signed_in(request), upload_id)
        if request.method == "DELETE":
            await self._uploads.remove(upload)
            return Response(status_code=204, headers=_with_version({}))
        await self._uploads.place(upload)
        if request.method == "HEAD":
            return await self._head(upload)
        if request.headers.get("content-type") != BODY_TYPE:
            raise Problem(
                415,
                "wrong-content-type",
                "Not a piece of an upload",
                f"A PATCH has the Content-Type {BODY_TYPE}.",
                field="Content-Type",
                remedy=f"Send Content-Type: {BODY_TYPE}.",
            )
        offset = _integer(request, "Upload-Offset", "Ask with HEAD where the upload stands.")
        new = await self._receive(request, upload, offset)
        return Response(status_code=204, headers=_with_version({"upload-offset": str(new)} | _expires(upload)))

    async def _head(self, upload: Upload) -> Response:
        headers = {"upload-length": str(upload.size), "cache-control": "no-store"} | _expires(upload) | _concat(upload)
        if upload.parts and not await self._joining.joined(upload, JOIN_SECONDS):
            # As the extension has it: no offset as long as it is being put together.
            return Response(status_code=200, headers=_with_version(headers | {"retry-after": "1"}))
        if upload.sha256 is not None or upload.parts:
            offset = upload.size
        else:
            # The answer must still be true when the client's next PATCH comes: an older writer stops now.
            try:
                async with self._uploads.spool.held(upload.id) as file:
                    offset = file.offset
            except Busy as error:
                raise still_written() from error
            except Gone as error:
                raise lost(upload) from error
        return Response(status_code=200, headers=_with_version(headers | {"upload-offset": str(offset)}))

    async def _receive(self, request: Request, upload: Upload, offset: int) -> int:
        """Store the body at `offset` and return where the upload stands then."""
        declared = _checksum(request)
        if upload.parts:
            raise parts.joined_already()
        if upload.sha256 is not None:
            if offset == upload.size:
                return offset
            raise _conflict(upload.size, offset)
        length = request.headers.get("content-length", "")
        try:
            async with self._uploads.spool.held(upload.id) as file:
                if file.offset != offset:
                    raise _conflict(file.offset, offset)
                if length.isdecimal() and offset + int(length) > upload.size:
                    raise _overrun(upload)
                new = await self._store_body(request, upload, file, declared)
                if new == upload.size:
                    await self._uploads.finish(upload, file)
                else:
                    await self._uploads.touched(upload, new)
                return new
        except Busy as error:
            raise still_written() from error
        except Gone as error:
            raise lost(upload) from error

    async def _store_body(self, request: Request, upload: Upload, file: UploadFile, declared: bytes | None) -> int:
        arrival = _Arrival(checksum=hashlib.sha256() if declared is not None else None)
        await file.begin(arrival.checksum)
        task = asyncio.create_task(_pump(request, upload, file, arrival))
        self._uploads.spool.pump(upload.id, task)
        try:
            await task
        except OSError as error:
            await (file.roll_back() if declared is not None else file.keep())
            log.error("upload-write-failed", upload=str(upload.id), error=repr(error))
            raise disk_problem(error) or error from error
        if arrival.overrun:
            await file.roll_back()
            raise _overrun(upload)
        if arrival.checksum is not None and (
            arrival.gone or arrival.superseded or arrival.checksum.digest() != declared
        ):
            await file.roll_back()
            if not arrival.gone and not arrival.superseded:
                raise _mismatch()
        else:
            await file.keep()
        if arrival.superseded:
            raise still_written()
        return file.offset

    def _spoken(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """`endpoint` for clients that speak tus 1.0; every answer says so too."""

        async def spoken(request: Request) -> Response:
            try:
                if request.headers.get("tus-resumable") != VERSION:
                    raise Problem(
                        412,
                        "tus-version",
                        "Another upload protocol",
                        f"Uploads speak tus {VERSION}.",
                        field="Tus-Resumable",
                        remedy=f"Send Tus-Resumable: {VERSION}.",
                        headers={"tus-version": VERSION},
                    )
                return await endpoint(request)
            except Problem as problem:
                problem.headers = _with_version(problem.headers)
                await _drain(request)
                raise

        return spoken


async def _pump(request: Request, upload: Upload, file: UploadFile, arrival: _Arrival) -> None:
    """Body to disk until it ends, its client goes, or a newer request cancels this task. Raises OSError."""
    room = upload.size - file.offset
    try:
        while True:
            message = await _next(request)
            if message["type"] == "http.disconnect":
                arrival.gone = True
                break
            chunk = message.get("body", b"")
            room -= len(chunk)
            if room < 0:
                arrival.overrun = True
                break
            if chunk:
                await file.feed(chunk)
            if not message.get("more_body", False):
                break
    except asyncio.CancelledError:
        arrival.superseded = True
    finally:
        await file.settle()


async def _next(request: Request) -> Message:
    """The next message of the body; the last one is remembered, for nothing but a disconnect comes after it."""
    message = await request.receive()
    if message["type"] == "http.disconnect" or not message.get("more_body", False):
        request.scope[_READ] = True
    return message


async def _drain(request: Request) -> None:
    """Read on for a while, so that a client that is still sending gets to see the error."""

    async def read() -> None:
        left = DRAINED_BYTES
        while left > 0 and not request.scope.get(_READ):
            left -= len((await _next(request)).get("body", b""))

    try:
        await asyncio.wait_for(read(), DRAIN_SECONDS)
    except TimeoutError:
        return


def _with_version(headers: dict[str, str]) -> dict[str, str]:
    return {"tus-resumable": VERSION, "cache-control": "no-store"} | ANY_ORIGIN | headers


def _expires(upload: Upload) -> dict[str, str]:
    return {} if upload.dataset_id else {"upload-expires": format_datetime(upload.expires.astimezone(UTC), usegmt=True)}


def _concat(upload: Upload) -> dict[str, str]:
    """What it is in the words of the concatenation extension."""
    if upload.partial:
        return {"upload-concat": parts.PARTIAL}
    found = [f"{PATH}/{one}" for one in (upload.id, *(part.id for part in upload.parts))]
    return {"upload-concat": parts.FINAL + " ".join(found)} if upload.parts else {}


def _integer(request: Request, header: str, remedy: str) -> int:
    text = request.headers.get(header, "")
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise _bad_header(header, "is missing or not a number of bytes", remedy)
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """Pairs 'key base64', separated by commas."""
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _bad_header(
                "Upload-Metadata", f"has a value of '{key[:40]}' that is not Base64 of UTF-8", ""
            ) from None
    return found


def _checksum(request: Request) -> bytes | None:
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    if algorithm != "sha256":
        raise _bad_header("Upload-Checksum", f"uses '{algorithm[:20]}'", "Use sha256, or leave the header out.")
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise _bad_header("Upload-Checksum", "is not a SHA-256 in Base64", "Send 'sha256 ' and 44 characters.")
    return digest


def _bad_header(header: str, what: str, remedy: str) -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "wrong-header",
        "The upload client said something that we do not understand",
        f"{header} {what}.",
        field=header,
        remedy=remedy or "See https://tus.io/protocols/resumable-upload.",
    )


def _conflict(here: int, claimed: int) -> Problem:
    return Problem(
        409,
        "wrong-offset",
        "Somewhere else",
        f"The upload stands at byte {here}, not at {claimed}.",
        field="Upload-Offset",
        remedy="Ask with HEAD where it stands and go on from there.",
        headers={"upload-offset": str(here)},
    )


def _overrun(upload: Upload) -> Problem:
    return Problem(
        413,
        "upload-length-exceeded",
        "More than was announced",
        f"The upload was announced with {upload.size} bytes ({size_of(upload.size)}) and this goes beyond.",
        field="Upload-Length",
        remedy="The file has changed since: start a new upload. Nothing of this piece was kept.",
    )


def _mismatch() -> Problem:
    return Problem(
        CHECKSUM_MISMATCH,
        "checksum-mismatch",
        "Damaged on the way",
        "This piece does not have the SHA-256 that was sent with it; it was discarded.",
        field="Upload-Checksum",
        remedy="Send the piece again.",
    )
