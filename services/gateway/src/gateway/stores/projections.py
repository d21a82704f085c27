"""SQL of what events tell: the read tables are written here alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.base import BranchError, DatasetRef, Frozen
from contracts.events import TrainingHeldUp, TrainingProgress, TrainingReleased, TrainingStarted
from contracts.standard import StandardScore
from kit.queries import Connection, Queries, Row
from psycopg.types.json import Jsonb

from gateway.domain import Facts, RoundFacts, Standing


def json_of(event: Frozen) -> Jsonb:
    return Jsonb(event.model_dump(mode="json"))


def round_facts(row: Row) -> RoundFacts:
    """Of a row of `rounds` as JSON."""
    failed = row["failed"] or {}
    return RoundFacts(
        attempt=row["attempt"],
        failed_attempt=failed.get("attempt", 0),
        will_retry=failed.get("will_retry", True),
        finished=row["finished"] is not None,
        published=row["published"] is not None,
        withheld=row["withheld"] is not None,
    )


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What is kept of a metric report: objects by name, and what pages show."""

    pictures: dict[str, Any]
    tables: dict[str, Any]
    summary: dict[str, Any]


class Projections:
    """Writes of the read tables. Every statement may be repeated and may come late."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock(self, c: Connection, ref: DatasetRef) -> Row:
        """The contribution's row, made if it is not there; others wait until the transaction ends."""
        key = {"dataset_id": ref.dataset_id, "version": ref.version}
        await self._q.execute(c, "ensure_contribution", **key)
        return await self._q.row(c, "lock_contribution", **key)

    async def set_fact(self, c: Connection, fact: str, ref: DatasetRef, event: Frozen, at: datetime) -> bool:
        """`fact`: validated, rejected, looked_into or metric_started. False when something later was told."""
        parameters = {"dataset_id": ref.dataset_id, "version": ref.version, "event": json_of(event), "at": at}
        return await self._q.execute(c, f"set_{fact}", **parameters) == 1

    async def set_reading(self, c: Connection, ref: DatasetRef, event: Frozen, at: datetime) -> bool:
        """False when it is not to be shown: there is newer news, or the outcome."""
        told = Jsonb(event.model_dump(mode="json", exclude={"dataset"}))
        parameters = {"dataset_id": ref.dataset_id, "version": ref.version, "event": told, "at": at}
        return bool((await self._q.row(c, "set_reading", **parameters))["shown"])

    async def set_metric(
        self, c: Connection, ref: DatasetRef, metric: dict[str, Any], at: datetime, told: ReportFacts
    ) -> None:
        await self._q.execute(
            c,
            "set_metric",
            dataset_id=ref.dataset_id,
            version=ref.version,
            event=Jsonb(metric),
            at=at,
            pictures=Jsonb(told.pictures),
            tables=Jsonb(told.tables),
            report=Jsonb(told.summary),
        )

    async def facts(self, c: Connection, ref: DatasetRef) -> Facts:
        row = await self._q.row(c, "facts", dataset_id=ref.dataset_id, version=ref.version)
        return Facts(
            validated=row["validated"],
            rejected=row["rejected"],
            checking=row["checking"],
            outcome=row["outcome"],
            round=round_facts(row["round"]) if row["round"] else None,
            released=row["released"],
            shared_only=row["shared_only"],
            withdrawn=row["withdrawn"],
        )

    async def set_standing(self, c: Connection, ref: DatasetRef, standing: Standing, at: datetime | None) -> None:
        await self._q.execute(
            c,
            "set_standing",
            dataset_id=ref.dataset_id,
            version=ref.version,
            stage=standing.stage,
            state=standing.state,
            verdict=standing.verdict,
            at=at,
        )
        await self._q.execute(c, "refresh_catalogue", dataset_id=ref.dataset_id)

    async def hold_up(self, c: Connection, ref: DatasetRef, reason: str, at: datetime) -> bool:
        """False when something has moved on since."""
        parameters = {"dataset_id": ref.dataset_id, "version": ref.version, "reason": reason, "at": at}
        return await self._q.execute(c, "hold_up", **parameters) == 1

    async def append_log(self, c: Connection, ref: DatasetRef, data: str) -> None:
        """Whatever is told of a dataset, lists show it too."""
        await self._q.execute(c, "append_log", dataset_id=ref.dataset_id, version=ref.version, data=data)
        await self._q.execute(c, "refresh_catalogue", dataset_id=ref.dataset_id)

    async def notify(self, c: Connection, topic: str) -> None:
        await self._q.execute(c, "notify", topic=topic)

    async def lock_round(self, c: Connection, round_id: UUID, at: datetime) -> None:
        """Its row, made if it is not there, has an event of then; others wait until the transaction ends."""
        await self._q.execute(c, "ensure_round", round_id=round_id)
        await self._q.execute(c, "lock_round", round_id=round_id, at=at)

    async def set_queued(self, c: Connection, round_id: UUID, event: Frozen, at: datetime) -> bool:
        """False when something later was told of its planning."""
        return await self._q.execute(c, "set_queued", round_id=round_id, event=json_of(event), at=at) == 1

    async def add_round_dataset(
        self, c: Connection, round_id: UUID, ref: DatasetRef, branch: str, newest: bool
    ) -> None:
        await self._q.execute(
            c,
            "add_round_dataset",
            round_id=round_id,
            dataset_id=ref.dataset_id,
            version=ref.version,
            branch=branch,
            newest=newest,
        )

    async def set_released(self, c: Connection, event: TrainingReleased, ref: DatasetRef, at: datetime) -> None:
        await self._q.execute(
            c,
            "set_released",
            round_id=event.round_id,
            dataset_id=ref.dataset_id,
            version=ref.version,
            event=Jsonb(event.model_dump(mode="json", exclude={"datasets"})),
            at=at,
        )

    async def set_started(self, c: Connection, event: TrainingStarted, at: datetime) -> None:
        await self._q.execute(
            c,
            "set_started",
            round_id=event.round_id,
            attempt=event.attempt,
            worker=event.worker,
            resumed_from=event.resumed_from_step,
            at=at,
        )
        await self._q.execute(c, "set_latest_start", round_id=event.round_id)
        await self._q.execute(c, "drop_overtaken_points", round_id=event.round_id)

    async def set_progress(self, c: Connection, event: TrainingProgress) -> None:
        await self._q.execute(
            c,
            "set_progress",
            round_id=event.round_id,
            event=Jsonb(event.model_dump(mode="json", exclude={"branches"})),
            attempt=event.attempt,
            step=event.step,
        )

    async def add_point(self, c: Connection, event: TrainingProgress, error: BranchError) -> None:
        await self._q.execute(
            c,
            "add_point",
            round_id=event.round_id,
            branch=error.branch,
            step=event.step,
            attempt=event.attempt,
            energy=error.energy_rmse_mev_per_atom,
            force=error.force_rmse_mev_per_angstrom,
        )

    async def set_waits_for(self, c: Connection, event: TrainingHeldUp, at: datetime) -> None:
        parameters = {"round_id": event.round_id, "attempt": event.attempt, "event": json_of(event), "at": at}
        await self._q.execute(c, "set_waits_for", **parameters)

    async def set_failed(self, c: Connection, round_id: UUID, attempt: int, event: Frozen) -> None:
        await self._q.execute(c, "set_failed", round_id=round_id, attempt=attempt, event=json_of(event))

    async def set_ending(self, c: Connection, ending: str, round_id: UUID, event: Frozen) -> None:
        """`ending`: finished, published or withheld."""
        await self._q.execute(c, f"set_{ending}", round_id=round_id, event=json_of(event))

    async def datasets_of_round(self, c: Connection, round_id: UUID) -> list[DatasetRef]:
        rows = await self._q.all(c, "datasets_of_round", round_id=round_id)
        return [DatasetRef(dataset_id=row["dataset_id"], version=row["version"]) for row in rows]

    async def add_model(self, c: Connection, version: str, published: datetime, event: Frozen) -> None:
        await self._q.execute(c, "insert_model", version=version, published=published, event=json_of(event))

    async def add_standard_version(self, c: Connection, number: int, released: datetime, event: Frozen) -> None:
        await self._q.execute(c, "insert_standard_version", number=number, released=released, event=json_of(event))

    async def add_standard_score(self, c: Connection, version: str, scored: datetime, score: StandardScore) -> None:
        await self._q.execute(
            c, "insert_standard_score", version=version, standard=score.standard, scored=scored, score=json_of(score)
        )
