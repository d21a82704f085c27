"""Use case of the list of datasets: search, filters, sorting, pages by place."""

import base64
import binascii
import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Literal
from uuid import UUID

from contracts.base import Frozen
from kit.db import Database
from kit.queries import Connection, Row

from gateway.domain import Person
from gateway.problems import Problem, invalid_field
from gateway.search.search import WORDS, Criteria, Sort, lexeme, terms
from gateway.search.spelling import may_be_misspelt, nearest_first
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.stores.catalogue import Slice, SortColumn
from gateway.views.datasets import Stage, State, Verdict

COUNTED = 1000
# A search that finds no more is sorted whole; of others the first rows in the list's order are soon found. Only the
# former can be sorted by relevance: all that match have to be read to know the best. Who finds more gets the newest
# and is told so; the best of the newest 1,000 would pass for the best of all.
FEW = 1000
# Known words that are near a misspelt one, and how many of the nearest are looked up.
NEAR, TRIED = 50, 5
COUNTS_KEPT = 256
COUNT_SECONDS = 5.0
FUNCTIONALS = 40
FACETS_SECONDS = 60.0
_COLUMNS: dict[Sort, tuple[SortColumn, bool]] = {
    "relevance": ("relevance", False),
    "newest": ("created", False),
    "oldest": ("created", True),
    "name": ("name", True),
    "frames": ("frames", False),
    "size": ("size", False),
}


class DatasetBrief(Frozen):
    """One dataset in a list."""

    id: UUID
    version: int
    url: str
    name: str
    authors: tuple[str, ...]
    licence: str
    private: bool
    created: datetime
    size: int
    frames: int
    elements: tuple[str, ...]
    new_elements: tuple[str, ...]
    functional: str | None
    stage: Stage
    state: State
    verdict: Verdict | None
    held_up: bool
    model: str | None
    yours: bool


class CatalogueView(Frozen):
    """A page of the list. `found`: exact up to 1,000, beyond that `more_found` is true.

    `sort`: newest where relevance was asked for and more than 1,000 were found. `corrected`: the words that were looked
    for instead, where nothing has those that were asked for.
    """

    datasets: tuple[DatasetBrief, ...]
    found: int
    more_found: bool
    earlier: str | None
    later: str | None
    sort: Sort
    corrected: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: beyond this key and dataset, towards the end or the beginning of the list."""

    key: str
    dataset_id: UUID
    way: Literal["later", "earlier"]

    def text(self) -> str:
        packed = json.dumps([self.key, str(self.dataset_id), self.way[0]], ensure_ascii=False)
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raises Problem."""
        try:
            key, dataset_id, way = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if not isinstance(key, str) or "\x00" in key:
                raise ValueError
            return cls(key, UUID(dataset_id), "earlier" if way == "e" else "later")
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise _no_such_page() from None


class Catalogue:
    """What a reader may see of all datasets. A reader of None is a stranger."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._functionals: tuple[float, list[str]] = (0.0, [])
        # What strangers were told that a search finds, and until when it is believed: counting costs most of a page.
        self._counts: OrderedDict[str | None, tuple[float, int]] = OrderedDict()

    async def page(self, reader: Person | None, criteria: Criteria, place: str | None = None) -> CatalogueView:
        """422 for a place that is none of this list."""
        at = Place.read(place) if place else None
        backwards = at is not None and at.way == "earlier"
        size = self._settings.page_size
        reader_id = reader.id if reader else None
        corrected = None
        async with self._database.transaction() as connection:
            found = await self._count(connection, reader_id, criteria.tsquery())
            if not found and not criteria.literal:
                corrected = await self._corrected(connection, reader_id, criteria)
            if corrected is not None:
                criteria = replace(criteria, text=corrected)
                found = await self._count(connection, reader_id, criteria.tsquery())
            few = criteria.tsquery() is not None and found <= FEW
            order: Sort = "newest" if criteria.order == "relevance" and not few else criteria.order
            column, ascending = _COLUMNS[order]
            part = Slice(
                column=column,
                ascending=ascending != backwards,
                beyond=(_of_kind(column, at.key), at.dataset_id) if at else None,
                tsquery=criteria.tsquery(),
                ranking=criteria.ranking() if order == "relevance" else (),
            )
            rows = await self._store.catalogue.page(connection, reader_id, part, size + 1, few)
        more, rows = len(rows) > size, rows[:size]
        if at is None and not more:
            found = len(rows)  # all of them are here: a number that was kept could contradict the page
        if backwards:
            rows.reverse()
        return CatalogueView(
            datasets=tuple(_brief(row, reader_id) for row in rows),
            found=min(found, COUNTED),
            more_found=found > COUNTED,
            earlier=_place(rows[0], "earlier") if rows and (more if backwards else at is not None) else None,
            later=_place(rows[-1], "later") if rows and (more or backwards) else None,
            sort=order,
            corrected=corrected,
        )

    async def _corrected(self, connection: Connection, reader_id: UUID | None, criteria: Criteria) -> str | None:
        """Other words that this reader finds something for, where nothing has one of these. They are public words."""
        words = criteria.text.split()[:WORDS]
        meant = [await self._meant(connection, reader_id, word) for word in words]
        text = " ".join(meant)
        if meant == words or not await self._count(connection, reader_id, replace(criteria, text=text).tsquery()):
            return None
        return text

    async def _meant(self, connection: Connection, reader_id: UUID | None, word: str) -> str:
        """The word itself where it is known to this reader, or no other is near."""
        found = terms(word)
        typed = word.strip(".,;:()")
        if len(found) != 1 or not may_be_misspelt(found[0], typed):
            return word
        if await self._count(connection, reader_id, found[0].tsquery()):
            return word
        (misspelt,) = found[0].lexemes
        near = nearest_first(misspelt, await self._store.catalogue.near_words(connection, misspelt, NEAR))[:TRIED]
        # Counted as strangers see them: a private dataset's words are nobody's suggestion.
        counted = [(count, -await self._count(connection, None, lexeme(known)), known) for count, known in near]
        return min((one for one in counted if one[1]), default=(0, 0, word))[2]

    async def _count(self, connection: Connection, reader_id: UUID | None, tsquery: str | None) -> int:
        """Up to a little more than COUNTED."""
        kept = self._counts.get(tsquery) if reader_id is None else None
        if kept is not None and monotonic() < kept[0]:
            return kept[1]
        found = await self._store.catalogue.count(connection, reader_id, tsquery, COUNTED + 1)
        if reader_id is None:
            self._counts[tsquery] = (monotonic() + COUNT_SECONDS, found)
            self._counts.move_to_end(tsquery)
            if len(self._counts) > COUNTS_KEPT:
                self._counts.popitem(last=False)
        return found

    async def functionals(self) -> list[str]:
        """Those that public datasets have, the most frequent first; known for a minute."""
        known_until, found = self._functionals
        if monotonic() > known_until:
            # Who comes meanwhile gets what was known: counting takes a while.
            self._functionals = (monotonic() + FACETS_SECONDS, found)
            async with self._database.transaction() as connection:
                found = await self._store.catalogue.functionals(connection, FUNCTIONALS)
            self._functionals = (monotonic() + FACETS_SECONDS, found)
        return found


def _place(row: Row, way: Literal["later", "earlier"]) -> str:
    key = row["key"]
    return Place(key.isoformat() if hasattr(key, "isoformat") else str(key), row["dataset_id"], way).text()


def _of_kind(column: SortColumn, key: str) -> str:
    """The key again when it can be one of this column. Raises Problem: a place of a list that was sorted otherwise."""
    try:
        match column:
            case "created":
                datetime.fromisoformat(key)
            case "frames" | "size" | "relevance":
                if not -1 < int(key) < 1 << 31 + 32 * (column != "frames"):
                    raise ValueError(key)
    except ValueError:
        raise _no_such_page() from None
    return key


def _no_such_page() -> Problem:
    return invalid_field("from", "There is no such page.", "Begin with the first page, and follow its links.")


def _brief(row: Row, reader_id: UUID | None) -> DatasetBrief:
    # Our own rows: checking them again would cost more than the query.
    return DatasetBrief.model_construct(
        id=row["dataset_id"],
        version=row["version"],
        url=f"/datasets/{row['dataset_id']}",
        name=row["name"],
        authors=tuple(row["authors"]),
        licence=row["licence"],
        private=row["private"],
        created=row["created"],
        size=row["size"],
        frames=row["frames"],
        elements=tuple(row["elements"]),
        new_elements=tuple(row["new_elements"]),
        functional=row["functional"],
        stage=row["stage"],
        state=row["state"],
        verdict=row["verdict"],
        held_up=row["held_up"],
        model=row["model"],
        yours=reader_id is not None and row["owner_id"] == reader_id,
    )
