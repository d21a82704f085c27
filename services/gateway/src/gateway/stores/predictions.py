"""SQL of structures that somebody wants predicted."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.base import BlobRef
from kit.queries import Connection, Queries, Row

from gateway.stores.projections import json_of


class Predictions:
    """Structures that somebody wants predicted."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock(self, c: Connection) -> None:
        """Until the transaction ends nobody else counts."""
        await self._q.execute(c, "lock_predictions")

    async def count(self, c: Connection, requester: str, window_seconds: float) -> tuple[int, float, int]:
        """How many of this requester within the window, in how many seconds the oldest leaves it, how many wait."""
        row = await self._q.one(c, "count_predictions", requester=requester, window_seconds=window_seconds)
        if row is None:
            return 0, 0.0, 0
        return row["requests"], float(row["free_in_seconds"] or 0), row["waiting"]

    async def add(self, c: Connection, prediction_id: UUID, model_version: str, requester: str) -> None:
        await self._q.execute(
            c, "insert_prediction", prediction_id=prediction_id, model_version=model_version, requester=requester
        )

    async def set_sent(self, c: Connection, prediction_id: UUID) -> None:
        await self._q.execute(c, "set_prediction_sent", prediction_id=prediction_id)

    async def find(self, c: Connection, prediction_id: UUID) -> Row | None:
        return await self._q.one(c, "prediction", prediction_id=prediction_id)

    async def finish(
        self,
        c: Connection,
        prediction_id: UUID,
        at: datetime,
        result: BlobRef | None,
        reason: str | None = None,
        remedy: str | None = None,
    ) -> None:
        await self._q.execute(
            c,
            "finish_prediction",
            prediction_id=prediction_id,
            at=at,
            result=json_of(result) if result is not None else None,
            reason=reason,
            remedy=remedy,
        )

    async def expired(self, c: Connection, seconds: float) -> list[UUID]:
        return [row["prediction_id"] for row in await self._q.all(c, "expired_predictions", seconds=seconds)]

    async def delete(self, c: Connection, prediction_ids: Sequence[UUID]) -> None:
        await self._q.execute(c, "delete_predictions", prediction_ids=list(prediction_ids))
