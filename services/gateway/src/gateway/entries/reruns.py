"""Use cases of repeated metric runs: ask for one, and see what came of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.base import DatasetRef
from contracts.events import MetricRerunRequested
from kit.db import Database
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection, Row

from gateway.domain import Person
from gateway.entries.assemble import rerun_view
from gateway.entries.telling import tell
from gateway.forms import drafts
from gateway.problems import Problem, invalid_field, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.views.datasets import RerunView

log = get_logger(__name__)

WINDOW = timedelta(hours=1)


class Reruns:
    """Raises Problem for everything that a person can put right."""

    def __init__(self, database: Database, store: Store, settings: GatewaySettings) -> None:
        self._database = database
        self._store = store
        self._most = settings.reruns_per_hour

    async def ask(self, person: Person, dataset_id: UUID, key: str | None = None) -> RerunView:
        """Have the latest verdict's run repeated. Its owner may, once at a time, so many times an hour.

        Repeated with the same `key` it answers with the rerun that the first request made.
        """
        key = drafts.read_key(key)
        async with self._database.transaction() as connection:
            row = await self._own_entry(connection, person, dataset_id)
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            await self._store.reruns.lock_person(connection, person.id)
            if key is not None and (earlier := await self._store.reruns.by_key(connection, person.id, key)):
                return await self._asked_before(connection, ref, earlier)
            if row["withdrawn"]:
                raise Problem(409, "dataset-withdrawn", "Withdrawn", "This dataset was withdrawn.")
            if row["metric"] is None:
                raise Problem(
                    409,
                    "not-judged",
                    "Not judged yet",
                    "The check of this dataset has not ended: there is no run to repeat.",
                    remedy="Wait for the verdict.",
                )
            await self._within_limits(connection, person)
            run_id, rerun_id = UUID(row["metric"]["run_id"]), uuid4()
            if not await self._store.reruns.add(connection, rerun_id, ref, run_id, person.id, key):
                raise Problem(
                    409,
                    "rerun-running",
                    "Running already",
                    "This run is being repeated right now.",
                    remedy="Wait for its result: it appears on the dataset's page.",
                )
            await emit(connection, MetricRerunRequested(dataset=ref, rerun_id=rerun_id, run_id=run_id))
            await tell(self._store, connection, ref, {"reruns"})
            found = await self._store.reruns.of(connection, [ref])
        log.info("rerun-requested", dataset=str(ref), rerun=str(rerun_id))
        return next(rerun_view(one) for one in found if one["rerun_id"] == rerun_id)

    async def all(self, reader: Person | None, dataset_id: UUID) -> list[RerunView]:
        """Newest first, for everybody who may see the dataset."""
        async with self._database.transaction() as connection:
            row = await self._visible(connection, reader, dataset_id)
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            return [rerun_view(one) for one in await self._store.reruns.of(connection, [ref])]

    async def _visible(self, connection: Connection, reader: Person | None, dataset_id: UUID) -> Row:
        row = await self._store.entries.find(connection, dataset_id, reader.id if reader else None)
        if row is None:
            raise not_found("dataset", None if reader else "If it is yours, sign in.")
        return row

    async def _own_entry(self, connection: Connection, person: Person, dataset_id: UUID) -> Row:
        row = await self._visible(connection, person, dataset_id)
        if row["owner_id"] != person.id:
            raise Problem(
                403,
                "not-yours",
                "Not yours",
                "Only who contributed a dataset may have its check repeated.",
                remedy="Its reports and its repetitions so far are on its page.",
            )
        return row

    async def _asked_before(self, connection: Connection, ref: DatasetRef, earlier: Row) -> RerunView:
        if earlier["dataset_id"] != ref.dataset_id:
            raise invalid_field(
                "Idempotency-Key",
                "This key came with another request before.",
                "Use a new key for a new rerun, and the same key only to repeat a request.",
            )
        found: list[Any] = await self._store.reruns.of(connection, [ref])
        return next(rerun_view(one) for one in found if one["rerun_id"] == earlier["rerun_id"])

    async def _within_limits(self, connection: Connection, person: Person) -> None:
        asked, free_in = await self._store.reruns.count(connection, person.id, WINDOW.total_seconds())
        if asked >= self._most:
            raise Problem(
                429,
                "too-many-reruns",
                "Enough for now",
                f"You asked for {asked} repetitions within the last hour; {self._most} are allowed.",
                remedy="Each one takes a worker from datasets that wait. Try again later.",
                headers={"retry-after": str(max(1, round(free_in)))},
            )
