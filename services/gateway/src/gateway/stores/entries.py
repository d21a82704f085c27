"""SQL of datasets, as their readers and owners see them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from contracts.base import DatasetRef
from contracts.signed import SignedReceipt, canonical
from kit.queries import Connection, Queries, Row
from psycopg.types.json import Jsonb

from gateway.forms.agreements import Agreement
from gateway.forms.drafts import Author


class Entries:
    """Dataset entries and what readers see of them."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add(self, c: Connection, **columns: Any) -> None:
        await self._q.execute(c, "insert_dataset", **columns)
        await self._q.execute(c, "ensure_contribution", dataset_id=columns["dataset_id"], version=columns["version"])

    async def by_key(self, c: Connection, owner_id: UUID, key: str) -> Row | None:
        return await self._q.one(c, "dataset_by_key", owner_id=owner_id, idempotency_key=key)

    async def find(
        self, c: Connection, dataset_id: UUID, reader_id: UUID | None, version: int | None = None
    ) -> Row | None:
        """The latest version that this reader may see, or that one if they may."""
        return await self._q.one(c, "find_entry", dataset_id=dataset_id, reader_id=reader_id, version=version)

    async def lock_dataset(self, c: Connection, dataset_id: UUID) -> None:
        """Until the transaction ends nobody else changes this entry or adds a version to it."""
        await self._q.execute(c, "lock_dataset", dataset_id=dataset_id)

    async def own_latest(self, c: Connection, dataset_id: UUID, owner_id: UUID) -> Row | None:
        """None when it is somebody else's."""
        return await self._q.one(c, "own_latest", dataset_id=dataset_id, owner_id=owner_id)

    async def make_public(
        self, c: Connection, ref: DatasetRef, authors: Sequence[Author], licence: str, description: str
    ) -> None:
        await self._q.execute(
            c,
            "make_public",
            dataset_id=ref.dataset_id,
            version=ref.version,
            authors=[one.name for one in authors],
            orcids=Jsonb({one.name: one.orcid for one in authors if one.orcid}),
            licence=licence,
            description=description,
        )

    async def withdraw(self, c: Connection, dataset_id: UUID, reason: str) -> list[Row]:
        """The versions that were not withdrawn before: `version`, `dpa`."""
        return await self._q.all(c, "withdraw_dataset", dataset_id=dataset_id, reason=reason)

    async def add_consent(self, c: Connection, ref: DatasetRef, act: str, person_id: UUID, text: Agreement) -> None:
        """What was agreed to, as it was shown."""
        await self._q.execute(
            c,
            "keep_agreement_text",
            sha256=text.sha256,
            version=text.version,
            language=text.language,
            content=text.content,
        )
        await self._q.execute(
            c,
            "insert_consent",
            dataset_id=ref.dataset_id,
            version=ref.version,
            act=act,
            person_id=person_id,
            sha256=text.sha256,
        )

    async def consents(self, c: Connection, ref: DatasetRef) -> list[Row]:
        return await self._q.all(c, "consents", dataset_id=ref.dataset_id, version=ref.version)

    async def versions(self, c: Connection, dataset_id: UUID, reader_id: UUID | None) -> list[Row]:
        """Those that this reader may see, newest first."""
        return await self._q.all(c, "versions", dataset_id=dataset_id, reader_id=reader_id)

    async def models_of(self, c: Connection, ref: DatasetRef) -> list[Row]:
        """Versions of the model that say they were trained on it, and those of its own rounds: newest first."""
        named = Jsonb([{"dataset": {"dataset_id": str(ref.dataset_id), "version": ref.version}}])
        return await self._q.all(c, "models_of", dataset_id=ref.dataset_id, version=ref.version, named=named)

    async def page(
        self, c: Connection, reader_id: UUID | None, mine: bool, limit: int, offset: int
    ) -> list[DatasetRef]:
        rows = await self._q.all(c, "page_of_entries", reader_id=reader_id, mine=mine, limit=limit, offset=offset)
        return [DatasetRef(dataset_id=row["dataset_id"], version=row["version"]) for row in rows]

    async def count(self, c: Connection, reader_id: UUID | None, mine: bool) -> int:
        return int((await self._q.row(c, "count_entries", reader_id=reader_id, mine=mine))["total"])

    async def rows(self, c: Connection, refs: Sequence[DatasetRef]) -> dict[DatasetRef, Row]:
        found = await self._q.all(
            c,
            "entries",
            dataset_ids=[ref.dataset_id for ref in refs],
            versions=[ref.version for ref in refs],
        )
        return {DatasetRef(dataset_id=row["dataset_id"], version=row["version"]): row for row in found}

    async def curves(self, c: Connection, round_ids: Sequence[UUID]) -> list[Row]:
        return await self._q.all(c, "curves", round_ids=list(round_ids)) if round_ids else []

    async def lines(self, c: Connection) -> list[Row]:
        return await self._q.all(c, "lines")

    async def recent_runs(self, c: Connection, limit: int) -> list[Row]:
        return await self._q.all(c, "recent_runs", limit=limit)

    async def past_rounds(self, c: Connection, limit: int) -> list[Row]:
        return await self._q.all(c, "past_rounds", limit=limit)

    async def rounds_under_way(self, c: Connection) -> list[Row]:
        return await self._q.all(c, "rounds_under_way")

    async def visible_names(
        self, c: Connection, dataset_ids: Sequence[UUID], reader_id: UUID | None
    ) -> dict[UUID, str]:
        """Those of the datasets that the reader may see."""
        if not dataset_ids:
            return {}
        rows = await self._q.all(c, "visible_names", dataset_ids=list(dataset_ids), reader_id=reader_id)
        return {row["dataset_id"]: row["name"] for row in rows}

    async def reading(self, c: Connection, ref: DatasetRef) -> Row | None:
        """`reading` and the `position` in the log that it belongs to."""
        return await self._q.one(c, "reading", dataset_id=ref.dataset_id, version=ref.version)

    async def open_rounds(self, c: Connection) -> list[Row]:
        return await self._q.all(c, "open_rounds")

    async def newest_standard(self, c: Connection) -> Row | None:
        return await self._q.one(c, "newest_standard")

    async def standard_history(self, c: Connection) -> list[Row]:
        return await self._q.all(c, "standard_history")

    async def private_among(self, c: Connection, dataset_ids: Sequence[UUID]) -> set[UUID]:
        rows = await self._q.all(c, "private_datasets", dataset_ids=list(dataset_ids))
        return {row["dataset_id"] for row in rows}

    async def withdrawn_among(self, c: Connection, dataset_ids: Sequence[UUID]) -> set[UUID]:
        rows = await self._q.all(c, "withdrawn_datasets", dataset_ids=list(dataset_ids))
        return {row["dataset_id"] for row in rows}

    async def read_consistently(self, c: Connection) -> None:
        await self._q.execute(c, "read_consistently")

    async def log_after(self, c: Connection, ref: DatasetRef, position: int, limit: int) -> list[Row]:
        return await self._q.all(
            c, "log_after", dataset_id=ref.dataset_id, version=ref.version, position=position, limit=limit
        )

    async def position(self, c: Connection, ref: DatasetRef) -> int:
        row = await self._q.one(c, "position", dataset_id=ref.dataset_id, version=ref.version)
        return int(row["position"]) if row else 0


class Receipts:
    """Signed receipts of contributions."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add(self, c: Connection, ref: DatasetRef, signed: SignedReceipt) -> None:
        await self._q.execute(
            c,
            "insert_receipt",
            dataset_id=ref.dataset_id,
            version=ref.version,
            round_id=signed.receipt.round_id,
            issued=signed.receipt.issued,
            document=canonical(signed.document()).decode(),
        )

    async def of(self, c: Connection, dataset_id: UUID, reader_id: UUID | None, most: int) -> list[str]:
        """Newest first."""
        rows = await self._q.all(c, "receipts", dataset_id=dataset_id, reader_id=reader_id, most=most)
        return [row["document"] for row in rows]
