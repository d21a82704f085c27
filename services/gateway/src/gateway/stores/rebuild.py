"""SQL of a rebuild: temporary tables in front of the read tables, and their rows put in place of the old ones."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.base import DatasetRef
from kit.queries import Connection, Queries, Row
from psycopg import sql

# Read tables and what tells their rows apart; what others refer to comes first.
TABLES: dict[str, tuple[str, ...]] = {
    "contributions": ("dataset_id", "version"),
    "dataset_facts": ("dataset_id", "version"),
    "rounds": ("round_id",),
    "round_starts": ("round_id", "attempt"),
    "round_datasets": ("round_id", "dataset_id", "version"),
    "curve_points": ("round_id", "branch", "step"),
    "models": ("version",),
    "model_marks": ("version",),
    "alias_moves": ("alias", "moved"),
    "standard_versions": ("number",),
    "standard_scores": ("version", "standard"),
    "receipts": ("dataset_id", "version", "round_id"),
    "catalogue": ("dataset_id", "public"),
    "catalogue_words": ("word",),
}
BESIDE = (*TABLES, "reruns", "inbox")
"""Results of reruns are the log's, requests are not; the inbox says what has been taken in."""


class Rebuilding:
    """One session's read tables beside the ones that are shown."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def begin(self, c: Connection) -> bool:
        """From now on this session's queries of read tables find empty ones of its own. False: another rebuild runs."""
        if not (await self._q.row(c, "one_rebuild"))["ours"]:
            return False
        await self._q.execute(c, "plan_as_tables_grow")
        for table in BESIDE:
            await self._q.execute_shaped(c, "begin_beside", {"table": sql.Identifier(table)})
        return True

    async def stand_still(self, c: Connection) -> None:
        await self._q.execute(c, "stand_still")

    async def handled_before(self, c: Connection, consumer: str, event_id: UUID) -> bool:
        """By the gateway that serves."""
        row = await self._q.row(c, "handled_before", consumer=consumer, event_id=event_id)
        return bool(row["known"])

    async def touched(self, c: Connection, since: datetime) -> list[DatasetRef]:
        return _refs(await self._q.all(c, "touched_since", since=since))

    async def swap(self, c: Connection) -> tuple[list[DatasetRef], int]:
        """In the transaction that stands still: (contributions that change, rows written or removed)."""
        await self._q.execute(c, "carry_over")
        await self._q.execute(c, "refresh_held_up")
        changed = _refs(await self._q.all(c, "changed_by_rebuild"))
        removed = [await self._remove_gone(c, table) for table in reversed(TABLES)]
        written = [await self._put_fresh(c, table) for table in TABLES]
        await self._q.execute(c, "put_inbox")
        return changed, sum(removed) + sum(written) + await self._q.execute(c, "put_reruns")

    async def _remove_gone(self, c: Connection, table: str) -> int:
        same = sql.SQL(" and ").join(sql.SQL("fresh.{0} = live.{0}").format(sql.Identifier(k)) for k in TABLES[table])
        return await self._q.execute_shaped(c, "remove_gone", {"table": sql.Identifier(table), "same": same})

    async def _put_fresh(self, c: Connection, table: str) -> int:
        keys = TABLES[table]
        told = [row["name"] for row in await self._q.all(c, "columns_of", table=table) if row["name"] not in keys]
        told = told or list(keys)  # of a table of keys alone
        shape = {
            "table": sql.Identifier(table),
            "keys": sql.SQL(", ").join(map(sql.Identifier, keys)),
            "fresh": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in told),
        }
        return await self._q.execute_shaped(c, "put_fresh", shape)


def _refs(rows: Sequence[Row]) -> list[DatasetRef]:
    return [DatasetRef(dataset_id=row["dataset_id"], version=row["version"]) for row in rows]
