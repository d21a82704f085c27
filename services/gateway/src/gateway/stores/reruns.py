"""SQL of repetitions of metric runs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.base import DatasetRef
from contracts.events import MetricRerunFinished
from kit.queries import Connection, Queries, Row

from gateway.stores.projections import json_of


class Reruns:
    """Repetitions of metric runs."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock_person(self, c: Connection, person_id: UUID) -> None:
        """Until the transaction ends nobody else counts this person's requests."""
        await self._q.execute(c, "lock_reruns_of", person_id=person_id)

    async def count(self, c: Connection, person_id: UUID, window_seconds: float) -> tuple[int, float]:
        """How many within the window, and in how many seconds the oldest leaves it."""
        found = await self._q.row(c, "count_reruns_of", person_id=person_id, window_seconds=window_seconds)
        return found["requests"], float(found["free_in_seconds"] or 0)

    async def by_key(self, c: Connection, person_id: UUID, key: str) -> Row | None:
        return await self._q.one(c, "rerun_by_key", person_id=person_id, idempotency_key=key)

    async def add(
        self, c: Connection, rerun_id: UUID, ref: DatasetRef, run_id: UUID, person_id: UUID, key: str | None
    ) -> bool:
        """False when that run is being repeated already."""
        row = await self._q.one(
            c,
            "insert_rerun",
            rerun_id=rerun_id,
            dataset_id=ref.dataset_id,
            version=ref.version,
            run_id=run_id,
            person_id=person_id,
            idempotency_key=key,
        )
        return row is not None

    async def of(self, c: Connection, refs: Sequence[DatasetRef]) -> list[Row]:
        """Newest first."""
        ids, versions = [ref.dataset_id for ref in refs], [ref.version for ref in refs]
        return await self._q.all(c, "reruns", dataset_ids=ids, versions=versions)

    async def finish(self, c: Connection, event: MetricRerunFinished, at: datetime) -> None:
        await self._q.execute(
            c,
            "finish_rerun",
            rerun_id=event.rerun_id,
            dataset_id=event.dataset.dataset_id,
            version=event.dataset.version,
            run_id=event.run_id,
            event=json_of(event),
            at=at,
        )

    async def give_up(self, c: Connection, rerun_id: UUID, reason: str) -> bool:
        return await self._q.execute(c, "give_up_rerun", rerun_id=rerun_id, reason=reason) == 1
