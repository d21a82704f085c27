"""The metric's pictures in the reader's language: the drawing stays as it is, its words are said again."""

import asyncio
import hashlib
import re
from html import escape, unescape
from uuid import UUID

from kit.blobs import BlobMissing
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http import ranges
from gateway.http.answers import INERT, download, version_of
from gateway.pages import sentences
from gateway.pages.browse import gateway_of
from gateway.pages.languages import language_of
from gateway.pages.site import page
from gateway.people.identity import reader
from gateway.problems import not_found

# As the metric's sheets write them: no element inside.
_WORDS = re.compile(r"(<(?:text|title|desc)\b[^<>]*>)([^<>]+)(?=</)")
_NEXT_SENTENCE = re.compile(r"(?<=[.]) (?=[A-Z0-9])")
_STOP = {"zh": "。"}
_LARGEST = 8 << 20


def in_language(svg: bytes, language: str) -> bytes:
    """A picture of the metric's with its title, description and texts in that language.

    A text of which not every part can be said stays English: half of each would be read as neither.
    """
    if language == "en":
        return svg
    return _WORDS.sub(lambda found: found[1] + _said(found[2], language), svg.decode()).encode()


def _said(words: str, language: str) -> str:
    said = []
    # Sentence by sentence: a value of the first would be looked for in all of them.
    for sentence in _NEXT_SENTENCE.split(unescape(words)):
        pieces = sentences.in_language(language, sentence.removesuffix("."))
        if not all(known for _, known in pieces):
            return words
        said += [text for text, _ in pieces]
        said.append(_STOP[language] if sentence.endswith(".") else "")
    return escape("".join(said), quote=False)


async def picture(request: Request) -> Response:
    """PNGs, whose words are drawn, and pictures for readers of English are given as they are stored."""
    gateway, language, name = gateway_of(request), language_of(request), request.path_params["name"]
    try:
        dataset_id = UUID(request.path_params["dataset_id"])
    except ValueError:
        raise not_found("dataset") from None
    found = await gateway.datasets.picture(await reader(request), dataset_id, name, version_of(request))
    if language == "en" or not name.endswith(".svg") or found.blob.size > _LARGEST:
        return await download(request, gateway.blobs, found, inline=True)
    try:
        drawn = await gateway.blobs.get_bytes(found.blob.key)
    except BlobMissing:
        # Which says so.
        return await download(request, gateway.blobs, found, inline=True)
    said = await asyncio.to_thread(in_language, drawn, language)
    etag = f'"{hashlib.sha256(said).hexdigest()}"'
    headers = {
        "etag": etag,
        "vary": "accept-language, cookie",
        "content-language": "zh-Hans" if language == "zh" else language,
        "cache-control": "private, no-cache" if found.private else "public, no-cache",
        "content-security-policy": INERT,
    }
    if ranges.same(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(said, headers=headers, media_type="image/svg+xml")


def routes() -> list[BaseRoute]:
    return [Route("/datasets/{dataset_id}/pictures/{name}", page(picture))]
