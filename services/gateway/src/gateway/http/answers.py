"""Requests' bodies in, responses out: JSON, problems, downloads with ranges."""

import base64
import json
import mimetypes
from typing import Any
from urllib.parse import quote

from contracts.base import Frozen
from kit.blobs import BlobMissing, Blobs
from kit.logs import get_logger
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.http import ranges
from gateway.problems import Problem, invalid_field
from gateway.views.files import Download

log = get_logger(__name__)

BODY_BYTES = 1 << 20
PROBLEM_TYPE = "application/problem+json"
# Pictures may be SVG: opened by itself, such a file must not run anything in our origin.
INERT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"


def json_response(view: Frozen, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        view.model_dump_json(),
        status,
        {"cache-control": "private, no-cache"} | (headers or {}),
        media_type="application/json",
    )


def list_response(name: str, views: list[Any]) -> Response:
    """`{name: [...]}`: an object, so that members may join later."""
    data = {name: [view.model_dump(mode="json") for view in views]}
    return Response(json.dumps(data), headers={"cache-control": "private, no-cache"}, media_type="application/json")


def problem_response(problem: Problem) -> Response:
    headers = {"cache-control": "no-store"} | problem.headers
    return Response(json.dumps(problem.body()), problem.status, headers, media_type=PROBLEM_TYPE)


async def read_object(request: Request) -> dict[str, Any]:
    """The request's body, a JSON object. Raises Problem."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(
            415,
            "wrong-content-type",
            "Not JSON",
            "The body of this request is JSON.",
            field="Content-Type",
            remedy="Send Content-Type: application/json.",
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise Problem(413, "body-too-large", "Too much", f"The body is larger than {BODY_BYTES} bytes.")
    try:
        payload = json.loads(bytes(body), parse_constant=_no_constant)
        json.dumps(payload, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise Problem(
            400, "not-json", "Not JSON", f"The body cannot be read: {str(error)[:200]}.", remedy="Send valid JSON."
        ) from None
    if not isinstance(payload, dict):
        raise Problem(422, "not-an-object", "Not an object", "The body is not a JSON object.", remedy="Send {…}.")
    return payload


def version_of(request: Request) -> int | None:
    """`?version=`; none: the latest. Raises Problem 422."""
    text = request.query_params.get("version")
    if text is None:
        return None
    if not (text.isdecimal() and text.isascii() and len(text) < 9 and int(text) >= 1):
        raise invalid_field("version", "This is not a version of a dataset.", "Versions count from 1.")
    return int(text)


def site_url(request: Request) -> str:
    """Scheme and host that people type."""
    return (request.app.state.gateway.settings.public_url or str(request.base_url)).rstrip("/")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


async def download(request: Request, blobs: Blobs, found: Download, *, inline: bool = False) -> Response:
    """The object, or the range of it that was asked for. `inline`: shown in the page instead of saved."""
    size = found.blob.size
    etag = f'"{found.blob.sha256}"'
    digest = base64.b64encode(bytes.fromhex(found.blob.sha256)).decode()
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache" if found.private else "public, no-cache",
        "repr-digest": f"sha-256=:{digest}:",
        "content-disposition": _disposition(found.filename, inline),
        "content-security-policy": INERT,
        "content-type": mimetypes.guess_type(found.filename)[0] or "application/octet-stream"
        if inline
        else "application/octet-stream",
    }
    if ranges.same(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    try:
        span = ranges.requested(request.headers, size, etag) if request.method == "GET" else None
    except ranges.NotSatisfiable:
        raise Problem(
            416,
            "range-not-satisfiable",
            "Beyond the end",
            f"The file has {size} bytes.",
            field="Range",
            remedy="Ask for bytes within the file.",
            headers={"content-range": f"bytes */{size}", "accept-ranges": "bytes"},
        ) from None
    start, end, status = 0, size, 200
    if span is not None:
        start, end, status = span.start, span.end, 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    try:
        stored = await blobs.size(found.blob.key)
    except BlobMissing:
        stored = None
    if stored != size:
        log.error("blob-not-as-recorded", key=found.blob.key, expected=size, stored=stored)
        raise Problem(
            503,
            "file-unavailable",
            "Not available just now",
            "We know this file, but our storage does not give it out.",
            remedy="Try again later; we have been told.",
        )
    if size == 0:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(blobs.stream(found.blob.key, start, end), status, headers)


def _disposition(filename: str, inline: bool) -> str:
    kind = "inline" if inline else "attachment"
    plain = "".join(
        character if character.isascii() and character.isprintable() and character not in '"\\' else "_"
        for character in filename
    )
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
