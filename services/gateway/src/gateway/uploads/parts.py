"""Rules of uploads whose bytes arrive side by side (tus: concatenation): which parts make which archive."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.problems import Problem
from gateway.uploads.regions import UPLOADS_PATH

MOST_PARTS = 16
FIELD = "Upload-Concat"
PARTIAL = "partial"
FINAL = "final;"
# Relative or with a scheme and host, which may be those of a proxy, and with the ticket of a region.
_ADDRESS = re.compile(
    rf"(?:https?://[^/\s]+)?{UPLOADS_PATH}/(?P<id>[0-9a-fA-F]{{8}}(?:-?[0-9a-fA-F]{{4}}){{3}}-?[0-9a-fA-F]{{12}})"
    r"(?:\?ticket=(?P<ticket>[\w-]+))?"
)
_PLACE = re.compile(r"(?P<number>\d{1,3})/(?P<count>\d{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many parts; the first is 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"part {self.number} of {self.count}"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes on the disk that are to be appended."""

    id: UUID
    size: int


@dataclass(frozen=True, slots=True)
class Address:
    """A part as a client names it."""

    id: UUID
    ticket: str | None


def addresses(header: str) -> tuple[Address, ...]:
    """Of 'final;URL URL …', in its order. Raises Problem 400, or 422 for too few, too many, or one twice."""
    found = []
    for text in header.removeprefix(FINAL).split():
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise Problem(
                400,
                "wrong-header",
                "The upload client said something that we do not understand",
                f"{FIELD} names {text[:100]!r}, which is no address of an upload here.",
                field=FIELD,
                remedy=f"Send '{FINAL}' and the Location of each part, separated by spaces.",
            )
        found.append(Address(UUID(match["id"]), match["ticket"]))
    if not 2 <= len(found) <= MOST_PARTS:
        raise _refused(
            "parts-number",
            f"An archive is joined from 2 to {MOST_PARTS} parts; these are {len(found)}.",
            "Send larger parts, or the file as one upload.",
        )
    twice = [number for number, one in enumerate(found, 1) if one.id in [other.id for other in found[: number - 1]]]
    if twice:
        raise _refused(
            "parts-out-of-order", f"Part {twice[0]} is named before: each is joined once.", "Name each part once."
        )
    return tuple(found)


def place(text: str | None) -> Place | None:
    """Of '2/4' in the metadata of a part. Raises Problem 400."""
    if text is None:
        return None
    match = _PLACE.fullmatch(text)
    if match is None or not 1 <= int(match["number"]) <= int(match["count"]) <= MOST_PARTS:
        raise Problem(
            400,
            "wrong-header",
            "The upload client said something that we do not understand",
            f"Upload-Metadata says part {text[:20]!r}.",
            field="Upload-Metadata",
            remedy=f"Write which of how many, such as 2/4, of at most {MOST_PARTS}; or leave it out.",
        )
    return Place(int(match["number"]), int(match["count"]))


def in_order(places: Sequence[Place | None]) -> None:
    """Raises Problem 422 when parts that tell their place are not all of them, or stand where others belong."""
    told = [one for one in places if one is not None]
    if not told:
        return
    count = max(one.count for one in told)
    missing = sorted(set(range(1, count + 1)) - {one.number for one in told})
    if missing and len(places) < count:
        raise _refused(
            "parts-missing",
            f"Of {count} parts there is no {', '.join(map(str, missing))} among these {len(places)}.",
            "Name every part, also those that were sent first.",
        )
    for position, one in enumerate(places, 1):
        if one != Place(position, count) or len(places) != count:
            said = str(one) if one else "one that does not tell its place"
            raise _refused(
                "parts-out-of-order",
                f"Part {position} of {len(places)} was sent as {said}.",
                "Name the parts of one file in the order of its bytes.",
            )


def not_a_part(position: int) -> Problem:
    return _refused(
        "not-a-part",
        f"Upload {position} of these was begun as a whole one, or is joined already.",
        f"Only uploads that were begun with {FIELD}: {PARTIAL} can be joined.",
    )


def regions_apart() -> Problem:
    return _refused(
        "parts-apart", "The parts lie in different regions.", "Name the same region when you begin each part."
    )


def part_missing_bytes(position: int, said: str) -> Problem:
    return Problem(
        422,
        "upload-incomplete",
        "The upload is not complete",
        f"Of part {position} {said} have arrived.",
        field=FIELD,
        remedy="Ask with HEAD where each part stands, send the rest, and join them then.",
    )


def only_a_part() -> Problem:
    return Problem(
        422,
        "part-of-an-upload",
        "A part is not the whole",
        "This upload is a part of an archive.",
        field="upload_id",
        remedy=f"Join the parts first (POST {UPLOADS_PATH} with {FIELD}: {FINAL}…) and publish what comes of it.",
    )


def joined_already() -> Problem:
    return Problem(
        403,
        "upload-joined",
        "Nothing is added to it",
        "This upload was joined from parts.",
        field=FIELD,
        remedy="Ask with HEAD whether it is ready, and publish it.",
    )


def still_joining() -> Problem:
    return Problem(
        409,
        "upload-joining",
        "Not ready yet",
        "The parts of this upload are still being put together.",
        field="upload_id",
        remedy="Ask with HEAD until it tells Upload-Offset, then publish it.",
        headers={"retry-after": "2"},
    )


def _refused(rule: str, detail: str, remedy: str) -> Problem:
    return Problem(422, rule, "These parts make no archive", detail, field=FIELD, remedy=remedy)
