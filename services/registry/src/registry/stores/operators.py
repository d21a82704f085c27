"""The registry's tables, as operators steer them. Every method runs inside its caller's transaction."""

from collections.abc import Sequence
from uuid import UUID

from contracts.base import Credit, DatasetRef
from kit.queries import Connection, Queries

from registry.domain.inquiries import Inquiry
from registry.domain.rounds import DatasetState, Member
from registry.stores.rows import inquiry_of, json_of, member_of


class OperatorStore:
    """Rows in, frozen domain values out."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def pause_reason(self, conn: Connection) -> str | None:
        """Why growth is paused; none while it goes on."""
        row = await self._queries.one(conn, "line")
        return None if row is None else row["reason"]

    async def pause(self, conn: Connection, reason: str) -> None:
        await self._queries.execute(conn, "pause", reason=reason)

    async def resume(self, conn: Connection) -> bool:
        """False: it was not paused."""
        return await self._queries.execute(conn, "resume") == 1

    # Datasets

    async def dataset(self, conn: Connection, ref: DatasetRef) -> Member | None:
        """The dataset, locked."""
        row = await self._queries.one(conn, "dataset", dataset_id=ref.dataset_id, version=ref.version)
        return None if row is None else member_of(row)

    async def members(self, conn: Connection, arrivals: Sequence[int]) -> list[Member]:
        """In the order of arrival."""
        rows = await self._queries.all(conn, "datasets_by_arrival", arrivals=list(arrivals))
        return [member_of(row) for row in rows]

    async def set_state(
        self, conn: Connection, arrivals: Sequence[int], state: DatasetState, reason: str | None = None
    ) -> None:
        """Move datasets to a state, but withdrawn ones."""
        await self._queries.execute(conn, "set_dataset_state", arrivals=list(arrivals), state=state, reason=reason)

    async def withdraw(self, conn: Connection, ref: DatasetRef, reason: str) -> None:
        await self._queries.execute(conn, "withdraw", dataset_id=ref.dataset_id, version=ref.version, reason=reason)

    async def remember_withdrawal(self, conn: Connection, ref: DatasetRef, reason: str) -> None:
        """Also of a dataset that is not known yet."""
        await self._queries.execute(
            conn, "remember_withdrawal", dataset_id=ref.dataset_id, version=ref.version, reason=reason
        )

    async def remember_credit(self, conn: Connection, ref: DatasetRef, credit: Credit) -> None:
        """Also of a dataset that is not known yet."""
        await self._queries.execute(
            conn, "remember_credit", dataset_id=ref.dataset_id, version=ref.version, credit=json_of(credit)
        )

    async def contributors_words(self, conn: Connection, ref: DatasetRef) -> tuple[str | None, Credit | None]:
        """Why it was withdrawn, and the credit under which it was made public; none: it was not."""
        row = await self._queries.one(conn, "contributors_words", dataset_id=ref.dataset_id, version=ref.version)
        if row is None:
            return None, None
        return row["withdrawn"], Credit.model_validate(row["credit"]) if row["credit"] else None

    async def set_credit(self, conn: Connection, ref: DatasetRef, credit: Credit) -> None:
        """What models to come say about the dataset. Nothing happens when it is not known."""
        await self._queries.execute(
            conn,
            "set_credit",
            dataset_id=ref.dataset_id,
            version=ref.version,
            title=credit.title,
            authors=list(credit.authors),
            licence=credit.licence,
            private=credit.private,
        )

    async def set_relative_weight(self, conn: Connection, ref: DatasetRef, weight: float | None) -> None:
        await self._queries.execute(
            conn, "set_relative_weight", dataset_id=ref.dataset_id, version=ref.version, weight=weight
        )

    async def trained_versions(self, conn: Connection, ref: DatasetRef) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Versions that trained on the dataset, and those that grew from them without it; oldest first."""
        rows = await self._queries.all(conn, "trained_versions", dataset_id=ref.dataset_id, version=ref.version)
        return (
            tuple(row["version"] for row in rows if row["trained"]),
            tuple(row["version"] for row in rows if not row["trained"]),
        )

    # Inquiries

    async def add_inquiry(self, conn: Connection, inquiry: Inquiry) -> None:
        await self._queries.execute(
            conn, "insert_inquiry", inquiry_id=inquiry.inquiry_id, kind=inquiry.kind, round_id=inquiry.round_id
        )
        await self.save_inquiry(conn, inquiry)

    async def save_inquiry(self, conn: Connection, inquiry: Inquiry) -> None:
        """Its groups as they stand."""
        for group in inquiry.groups:
            await self._queries.execute(
                conn,
                "upsert_group",
                inquiry_id=inquiry.inquiry_id,
                number=group.number,
                members=list(group.members),
                state=group.state,
                sibling=group.sibling,
                suspected=group.suspected,
                round_id=group.round_id,
            )

    async def end_inquiry(self, conn: Connection, inquiry_id: UUID, outcome: str) -> None:
        await self._queries.execute(conn, "end_inquiry", inquiry_id=inquiry_id, outcome=outcome)

    async def newest_inquiry(self, conn: Connection) -> Inquiry | None:
        """The one that goes on, or else the last one."""
        row = await self._queries.one(conn, "newest_inquiry")
        if row is None:
            return None
        return inquiry_of(row, await self._queries.all(conn, "inquiry_groups", inquiry_id=row["inquiry_id"]))

    async def inquiry_of_round(self, conn: Connection, round_id: UUID) -> UUID | None:
        """The inquiry that asked for a round; none for an ordinary one."""
        row = await self._queries.one(conn, "inquiry_of_round", round_id=round_id)
        return None if row is None else row["inquiry_id"]

    # Versions

    async def retire(self, conn: Connection, version: str, reason: str) -> bool:
        """False: it was retired before."""
        return await self._queries.execute(conn, "retire", version=version, reason=reason) == 1

    async def pointing(self, conn: Connection, version: str) -> list[str]:
        """Aliases that point to a version."""
        return [row["alias"] for row in await self._queries.all(conn, "pointing", version=version)]

    async def retired_versions(self, conn: Connection) -> set[str]:
        return {row["version"] for row in await self._queries.all(conn, "retired_versions")}
