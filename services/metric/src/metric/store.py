"""The metric's tables: the only place that runs SQL. Every method runs inside its caller's transaction."""

from uuid import UUID

from contracts.base import BlobRef
from contracts.events import DatasetValidated, MetricRerunFinished
from kit.queries import Connection, Queries
from psycopg.types.json import Jsonb

from metric.judging import CurrentModel, Verdict
from metric.service import PastRun, Run


class Store:
    """Runs: one for each dataset.validated event, pinned to the model that was current when it began; reruns."""

    def __init__(self) -> None:
        self._queries = Queries.load("metric")

    async def begin(
        self, connection: Connection, event_id: UUID, event: DatasetValidated, model: CurrentModel | None
    ) -> tuple[Run, bool]:
        """The run of this event with one more open try, and whether it is a new one."""
        dataset = {"dataset_manifest": _json(event.manifest), "content_sha256": event.content_sha256}
        added = await self._queries.execute(
            connection,
            "insert_run",
            event_id=event_id,
            dataset_id=event.dataset.dataset_id,
            dataset_version=event.dataset.version,
            model_version=model.version if model is not None else None,
            model_manifest=_json(model.manifest) if model is not None else None,
            **dataset,
        )
        row = await self._queries.one(connection, "open_try", event_id=event_id, **dataset)
        if row is None:
            raise LookupError(f"the run of event {event_id} vanished inside its own transaction")
        pinned = _model(row["model_version"], row["model_manifest"])
        died = max(row["open_tries"] - 1, 0)
        return Run(row["run_id"], pinned, finished=row["finished"] is not None, died=died), added == 1

    async def end_tries(self, connection: Connection, run_id: UUID) -> None:
        """A try ended without killing its worker."""
        await self._queries.execute(connection, "end_tries", run_id=run_id)

    async def finish(self, connection: Connection, run_id: UUID, verdict: Verdict) -> bool:
        """False: the run was finished already."""
        judgement, report = verdict.judgement, verdict.report
        written = await self._queries.execute(
            connection,
            "finish_run",
            run_id=run_id,
            outcome=judgement.outcome,
            coverage=judgement.coverage,
            failed_frames=judgement.failed_frames,
            report=_json(verdict.blob),
            settings=Jsonb(report.settings),
            versions=Jsonb(report.versions),
            seed=report.seed,
            device=report.device,
        )
        return written == 1

    async def past_run(self, connection: Connection, run_id: UUID) -> PastRun | None:
        """A run as it was made; None: there is none of that id."""
        row = await self._queries.one(connection, "run_to_repeat", run_id=run_id)
        if row is None:
            return None
        return PastRun(
            run_id=row["run_id"],
            dataset_manifest=_blob(row["dataset_manifest"]),
            model=_model(row["model_version"], row["model_manifest"]),
            outcome=row["outcome"],
            report=_blob(row["report"]),
        )

    async def add_rerun(self, connection: Connection, event: MetricRerunFinished, differing: int) -> bool:
        """False: it is there already."""
        added = await self._queries.execute(
            connection,
            "insert_rerun",
            rerun_id=event.rerun_id,
            run_id=event.run_id,
            repeated=event.repeated,
            same=event.same,
            sentence=event.sentence,
            outcome_before=event.outcome_before,
            outcome_after=event.outcome_after,
            numbers=event.numbers,
            differing=differing,
            largest_relative_difference=event.largest_relative_difference,
            versions_changed=Jsonb(event.versions_changed),
            report=_json(event.report) if event.report is not None else None,
        )
        return added == 1


def _json(ref: BlobRef) -> Jsonb:
    return Jsonb(ref.model_dump(mode="json"))


def _blob(stored: object) -> BlobRef | None:
    return BlobRef.model_validate(stored) if stored is not None else None


def _model(version: str | None, manifest: object) -> CurrentModel | None:
    return CurrentModel(version, BlobRef.model_validate(manifest)) if version is not None else None
