"""The metric's tables: the only place that runs SQL. Every method runs inside its caller's transaction."""

from uuid import UUID

from contracts.base import BlobRef, DatasetRef
from kit.queries import Connection, Queries
from psycopg.types.json import Jsonb

from metric.domain.verdict import Outcome
from metric.service import CurrentModel, Run


class Store:
    """Runs: one for each dataset.validated event, pinned to the model that was current when it began."""

    def __init__(self) -> None:
        self._queries = Queries.load("metric")

    async def begin(
        self, connection: Connection, event_id: UUID, dataset: DatasetRef, model: CurrentModel | None
    ) -> tuple[Run, bool]:
        """The run of this event, and whether it is a new one."""
        added = await self._queries.execute(
            connection,
            "insert_run",
            event_id=event_id,
            dataset_id=dataset.dataset_id,
            dataset_version=dataset.version,
            model_version=model.version if model is not None else None,
            model_manifest=Jsonb(model.manifest.model_dump(mode="json")) if model is not None else None,
        )
        row = await self._queries.one(connection, "run_of_event", event_id=event_id)
        if row is None:
            raise LookupError(f"the run of event {event_id} vanished inside its own transaction")
        pinned = None
        if row["model_version"] is not None:
            pinned = CurrentModel(row["model_version"], BlobRef.model_validate(row["model_manifest"]))
        return Run(row["run_id"], pinned, finished=row["finished"] is not None), added == 1

    async def finish(
        self,
        connection: Connection,
        run_id: UUID,
        outcome: Outcome,
        coverage: float,
        failed_frames: int,
        report: BlobRef,
    ) -> bool:
        """False: the run was finished already."""
        written = await self._queries.execute(
            connection,
            "finish_run",
            run_id=run_id,
            outcome=outcome,
            coverage=coverage,
            failed_frames=failed_frames,
            report=Jsonb(report.model_dump(mode="json")),
        )
        return written == 1
