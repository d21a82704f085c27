"""HTTP ranges (RFC 9110 §14): one range at a time; anything else is answered with the whole."""

from collections.abc import Mapping
from dataclasses import dataclass


class NotSatisfiable(ValueError):
    """A well-formed range outside of the object: 416."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end)."""

    start: int
    end: int


def requested(headers: Mapping[str, str], size: int, etag: str) -> Span | None:
    """The range that a request asks for; None: the whole object. Raises NotSatisfiable.

    A range that cannot be read, several ranges, or an If-Range that names other bytes are ignored, as the RFC asks.
    """
    text = headers.get("range", "")
    unit, _, value = text.partition("=")
    if unit.strip().lower() != "bytes" or "," in value or headers.get("if-range", etag) != etag:
        return None
    first, dash, last = (part.strip() for part in value.partition("-"))
    if (
        not dash
        or not (first or last)
        or not all(part.isdecimal() and part.isascii() for part in (first, last) if part)
    ):
        return None
    if not first:
        if int(last) == 0 or size == 0:
            raise NotSatisfiable(text)
        return Span(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise NotSatisfiable(text)
    return Span(int(first), min(int(last) + 1, size) if last else size)


def same(header: str, etag: str) -> bool:
    """If-None-Match: the client has these bytes already."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
