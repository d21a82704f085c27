"""What of a person's uploads is one archive: parts that arrive side by side are shown, and discarded, together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.uploads.uploads import Upload

BEGUN_WITHIN = timedelta(minutes=1)
"""Parts that do not tell their place belong together when they were begun one right after the other."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An archive that is not published: one upload, or the parts of it that were begun."""

    uploads: tuple[Upload, ...]
    received: int
    """Bytes that are here."""

    @property
    def id(self) -> UUID:
        """The address of any of them stands for all."""
        return self.uploads[0].id

    @property
    def filename(self) -> str:
        return self.uploads[0].filename

    @property
    def size(self) -> int:
        return sum(one.size for one in self.uploads)

    @property
    def expires(self) -> datetime:
        """Parts wait for each other."""
        return max(one.expires for one in self.uploads)


def gathered(uploads: Iterable[tuple[Upload, int]]) -> list[Unfinished]:
    """Uploads with the bytes that are here, as archives, the newest first."""
    archives: list[list[tuple[Upload, int]]] = []
    for upload, received in sorted(uploads, key=lambda one: one[0].created):
        for archive in archives:
            if _belongs([one for one, _ in archive], upload):
                archive.append((upload, received))
                break
        else:
            archives.append([(upload, received)])
    found = [Unfinished(tuple(one for one, _ in each), sum(here for _, here in each)) for each in archives]
    return sorted(found, key=lambda one: one.uploads[0].created, reverse=True)


def _belongs(archive: Sequence[Upload], part: Upload) -> bool:
    """The same file sent twice side by side is two archives: a place is taken once."""
    first = archive[0]
    if not (first.partial and part.partial) or (first.filename, first.region) != (part.filename, part.region):
        return False
    if first.place is None or part.place is None:
        return first.place is part.place and part.created - archive[-1].created <= BEGUN_WITHIN
    return first.place.count == part.place.count and part.place not in [one.place for one in archive]
