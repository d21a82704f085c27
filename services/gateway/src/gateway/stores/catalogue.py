"""SQL of lists and searches, and of what is known of versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from contracts.base import DatasetRef
from contracts.events import ModelAliased, ModelMarked, ModelRetired
from kit.queries import Connection, Queries, Row
from psycopg import sql

SortColumn = Literal["relevance", "created", "name", "frames", "size"]

# A value of the column, as it is indexed; and its type, for the place where a page begins. Relevance is in no index: it
# is points, and below them the microseconds since 1970, so that the newest of equals comes first. A long description's
# words are unpacked once for all steps.
_COLUMNS: dict[SortColumn, tuple[sql.SQL, sql.SQL]] = {
    "relevance": (
        sql.SQL(
            "(with once as materialized (select search || ''::tsvector as words)"
            " select coalesce(sum(points), 0) from once,"
            " unnest(%(points)s::int[], %(steps)s::text[]::tsquery[]) as step (points, query)"
            " where words @@ query) * 10000000000000000 + (extract(epoch from created) * 1000000)::bigint"
        ),
        sql.SQL("bigint"),
    ),
    "created": (sql.SQL("created"), sql.SQL("timestamptz")),
    "name": (sql.SQL("lower(name)"), sql.SQL("text")),
    "frames": (sql.SQL("frames"), sql.SQL("int")),
    "size": (sql.SQL("size"), sql.SQL("bigint")),
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Which rows of the list: sorted by a column, beyond a place (key, dataset), that match a tsquery.

    `ranking`: (points, tsquery), whose sum is the relevance of a row; only where few are found.
    """

    column: SortColumn
    ascending: bool
    beyond: tuple[str, UUID] | None
    tsquery: str | None
    ranking: Sequence[tuple[int, str]] = ()


class Catalogue:
    """What can be searched."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def page(self, c: Connection, reader_id: UUID | None, part: Slice, limit: int, few: bool) -> list[Row]:
        """Rows in the slice's order; `key` is their value of the column. `few`: the search is known to find few."""
        key, kind = _COLUMNS[part.column]
        direction = sql.SQL("asc") if part.ascending else sql.SQL("desc")
        beyond: sql.Composable = sql.SQL("true")
        given: dict[str, Any] = {
            "points": [step[0] for step in part.ranking],
            "steps": [step[1] for step in part.ranking],
        }
        if part.beyond is not None:
            given |= {"beyond_key": part.beyond[0], "beyond_id": part.beyond[1]}
            beyond = sql.SQL("({key}, dataset_id) {sign} (%(beyond_key)s::{kind}, %(beyond_id)s)").format(
                key=sql.SQL("key") if few else key, kind=kind, sign=sql.SQL(">") if part.ascending else sql.SQL("<")
            )
        shape = {"key": key, "direction": direction, "beyond": beyond, "matching": _matching(part.tsquery)}
        query = "page_of_few" if few else "page_of_catalogue"
        return await self._q.shaped(c, query, shape, reader_id=reader_id, limit=limit, tsquery=part.tsquery, **given)

    async def count(self, c: Connection, reader_id: UUID | None, tsquery: str | None, most: int) -> int:
        """At most `most` for each of public and the reader's own."""
        shape = {"matching": _matching(tsquery)}
        (row,) = await self._q.shaped(c, "count_catalogue", shape, reader_id=reader_id, tsquery=tsquery, most=most)
        return int(row["found"])

    async def near_words(self, c: Connection, word: str, most: int) -> list[str]:
        """Words that public datasets have, or had, and that differ from this one by a letter or two."""
        return [row["word"] for row in await self._q.all(c, "near_words", word=word, most=most)]

    async def functionals(self, c: Connection, most: int) -> list[str]:
        return [row["functional"] for row in await self._q.all(c, "functionals", most=most)]

    async def set_facts(self, c: Connection, ref: DatasetRef, formulas: Sequence[str], pairs: Sequence[str]) -> None:
        await self._q.execute(
            c,
            "set_dataset_facts",
            dataset_id=ref.dataset_id,
            version=ref.version,
            formulas=list(formulas),
            pairs=list(pairs),
        )

    async def trained_facts(self, c: Connection, refs: Sequence[DatasetRef]) -> dict[DatasetRef, Row]:
        """Elements, frames and pairs of those that are public now."""
        rows = await self._q.all(
            c,
            "trained_facts",
            dataset_ids=[ref.dataset_id for ref in refs],
            versions=[ref.version for ref in refs],
        )
        return {DatasetRef(dataset_id=row["dataset_id"], version=row["version"]): row for row in rows}


def _matching(tsquery: str | None) -> sql.SQL:
    return sql.SQL("true") if tsquery is None else sql.SQL("search @@ %(tsquery)s::tsquery")


class Versions:
    """Published versions, the names that point to them, and what became of them."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def aliases(self, c: Connection) -> dict[str, str]:
        """Alias → version."""
        return {row["alias"]: row["version"] for row in await self._q.all(c, "aliases")}

    async def all(self, c: Connection) -> list[str]:
        """Newest first."""
        return [row["version"] for row in await self._q.all(c, "model_versions")]

    async def newest(self, c: Connection) -> str | None:
        row = await self._q.one(c, "newest_version")
        return row["version"] if row else None

    async def find(self, c: Connection, versions: Sequence[str]) -> list[Row]:
        """Those that there are, newest first."""
        return await self._q.all(c, "models_with_scores", versions=list(versions))

    async def scores(self, c: Connection, version: str) -> list[Row]:
        """StandardScores, of the newest standard dataset first."""
        return [row["score"] for row in await self._q.all(c, "scores_of", version=version)]

    async def history(self, c: Connection, before: Sequence[int] | None, limit: int) -> list[Row]:
        """Newest first, older than `before` (a version's numbers)."""
        return await self._q.all(c, "history_of_models", before=list(before) if before else None, limit=limit)

    async def count(self, c: Connection) -> int:
        row = await self._q.one(c, "count_models")
        return int(row["versions"]) if row else 0

    async def add_alias_move(self, c: Connection, event: ModelAliased, at: datetime) -> None:
        await self._q.execute(
            c,
            "insert_alias_move",
            alias=event.alias,
            moved=at,
            version=event.version,
            previous=event.previous,
            reason=event.reason,
        )

    async def set_retired(self, c: Connection, event: ModelRetired, at: datetime) -> None:
        await self._q.execute(c, "set_retired", version=event.version, at=at, reason=event.reason)

    async def set_marked(self, c: Connection, event: ModelMarked, at: datetime) -> None:
        await self._q.execute(
            c,
            "set_marked",
            version=event.version,
            at=at,
            branches=list(event.withdrawn_branches),
            ancestral=event.withdrawn_ancestral_datasets,
        )
