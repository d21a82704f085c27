"""What anyone may query, read many at a time: the part of the store behind `catalogue`.

Every method runs inside its caller's transaction.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.queries import Connection, Queries, Row

from registry.domain.changes import Change, ChangeKind
from registry.domain.rounds import Model, ModelBranch
from registry.stores.rows import member_of, model_branch_of, model_of

SLICE = 500
"""Rows that are looked at without a pause: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A version in the catalogue."""

    version: str
    parent: str | None
    round_id: UUID
    retired: bool
    withdrawn_ancestral: int
    """Withdrawn datasets that trained an ancestor and not this version."""


@dataclass(frozen=True, slots=True)
class KnownAlias:
    """Where an alias points."""

    name: str
    version: str
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class Index:
    """What there is at one revision. `versions`: newest first. `scored`: versions that have a score."""

    revision: int
    versions: dict[str, KnownVersion]
    aliases: dict[str, KnownAlias]
    current_standard: int
    scored: frozenset[str]


class QueryStore:
    """Part of `store.Store`."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def revision(self, conn: Connection) -> int:
        return int((await self._queries.row(conn, "revision"))["revision"])

    async def read_one_state(self, conn: Connection) -> int:
        """The transaction reads one state of the database from here on; its revision."""
        await self._queries.execute(conn, "read_one_state")
        return await self.revision(conn)

    async def index(self, conn: Connection) -> Index:
        """Call in a transaction that reads one state. Reads and counts in slices: others are answered in between."""
        revision = await self.revision(conn)
        rows = await self._in_slices(conn, "catalogue_versions")
        aliases = await self._queries.all(conn, "catalogue_aliases")
        withdrawn: dict[str, set[int]] = defaultdict(set)
        for row in await self._in_slices(conn, "catalogue_withdrawn"):
            withdrawn[row["version"]].add(row["arrival"])
        standard = await self._queries.one(conn, "newest_standard")
        scored = await self._in_slices(conn, "scored_versions")
        known: list[KnownVersion] = []
        ancestral = _Ancestral(withdrawn)
        for start in range(0, len(rows), SLICE):
            known += [_known(row, ancestral) for row in rows[start : start + SLICE]]
            await asyncio.sleep(0)
        return Index(
            revision=revision,
            versions={one.version: one for one in reversed(known)},
            aliases={row["alias"]: KnownAlias(row["alias"], row["version"], row["moved_at"]) for row in aliases},
            current_standard=standard["number"] if standard else 0,
            scored=frozenset(row["model_version"] for row in scored),
        )

    async def _in_slices(self, conn: Connection, name: str) -> list[Row]:
        cursor = await self._queries.run(conn, name)
        rows: list[Row] = []
        while some := await cursor.fetchmany(SLICE):
            rows += some
            await asyncio.sleep(0)
        return rows

    async def described(self, conn: Connection, index: Index, versions: Sequence[str]) -> list[Model]:
        """Models of the index, in the order of `versions`."""
        wanted = list(versions)
        rows = {row["version"]: row for row in await self._queries.all(conn, "models_by_version", versions=wanted)}
        round_ids = [row["round_id"] for row in rows.values()]
        members = {
            (row["dataset_id"], row["version"]): member_of(row)
            for row in await self._queries.all(conn, "datasets_by_round", round_ids=round_ids)
        }
        branches: dict[UUID, list[ModelBranch]] = defaultdict(list)
        for row in await self._queries.all(conn, "branches_by_round", round_ids=round_ids):
            member = members[row["dataset_id"], row["dataset_version"]]
            branches[row["round_id"]].append(model_branch_of(row, member))
        scores: dict[str, list[Row]] = defaultdict(list)
        for row in await self._queries.all(conn, "scores_by_version", versions=wanted):
            scores[row["model_version"]].append(row)
        pointing: dict[str, list[str]] = defaultdict(list)
        for alias in index.aliases.values():
            pointing[alias.version].append(alias.name)
        return [
            model_of(
                rows[version],
                branches[rows[version]["round_id"]],
                tuple(pointing[version]),
                index.versions[version].withdrawn_ancestral,
                scores[version],
                index.current_standard,
            )
            for version in wanted
        ]

    async def changes(self, conn: Connection, after: int, limit: int) -> list[Change]:
        """What happened after a position, in the order of commits."""
        return [
            Change(
                position=row["position"],
                kind=ChangeKind(row["kind"]),
                version=row["version"],
                alias=row["alias"],
                previous_version=row["previous_version"],
                reason=row["reason"],
                at=row["at"],
            )
            for row in await self._queries.all(conn, "changes", after=after, limit=limit)
        ]


class _Ancestral:
    """For each version how many withdrawn datasets trained an ancestor and not itself. Ask for the oldest first."""

    def __init__(self, withdrawn: dict[str, set[int]]) -> None:
        self._withdrawn = withdrawn
        self._line: dict[str, frozenset[int]] = {}

    def count(self, version: str, parent: str | None) -> int:
        before = self._line.get(parent or "", frozenset())
        own = self._withdrawn.get(version)
        self._line[version] = before | own if own else before
        return len(before - own) if own else len(before)


def _known(row: Row, ancestral: _Ancestral) -> KnownVersion:
    version, parent = row["version"], row["parent_version"]
    return KnownVersion(version, parent, row["round_id"], row["retired"], ancestral.count(version, parent))
