"""Events into read tables. Facts may come twice and out of order: what is shown is derived from all of them."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from contracts.artifacts import DatasetManifest, MetricReport
from contracts.base import DatasetRef
from contracts.envelope import Event
from contracts.events import (
    DatasetLookedInto,
    DatasetMadePublic,
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetPublished,
    DatasetReading,
    DatasetReceiptIssued,
    DatasetRejected,
    DatasetShared,
    DatasetUploaded,
    DatasetValidated,
    DatasetWithdrawn,
    MetricRerunFinished,
    MetricRerunRequested,
    ModelAliased,
    ModelMarked,
    ModelPublished,
    ModelRescored,
    ModelRetired,
    ModelWithheld,
    PredictionFinished,
    PredictionRefused,
    PredictionRequested,
    PredictionStructureRead,
    StandardReleased,
    TrainingFailed,
    TrainingFinished,
    TrainingHeldUp,
    TrainingProgress,
    TrainingQueued,
    TrainingReleased,
    TrainingStarted,
)
from contracts.topology import DEAD_LETTER_PREFIX
from kit.blobs import BlobMissing, Blobs
from kit.bus import Delivery, Raw
from kit.inbox import first_time
from kit.logs import get_logger
from kit.queries import Connection
from pydantic import ValidationError

from gateway.domain import Standing, standing
from gateway.entries.datasets import QUEUE_TOPIC, READING_TOPIC
from gateway.entries.reports import facts_of
from gateway.entries.telling import tell
from gateway.people.notices import Notices
from gateway.search.search import reduced_formula
from gateway.store import Store
from gateway.stores.operators import DeadLetter
from gateway.stores.projections import ReportFacts
from gateway.webhooks.webhooks import enqueue

log = get_logger(__name__)

REASON_LENGTH = 300
FORMULAS_KEPT = 2000
BESIDE_THE_WAY = frozenset(event.nats_subject for event in (DatasetReading, DatasetReceiptIssued, MetricRerunFinished))
PREDICTIONS = frozenset((PredictionRequested.nats_subject, PredictionStructureRead.nats_subject))
NOT_PREDICTED = "It could not be predicted, which is on our side."
TRY_LATER = "Try again later."

RoundEvent = (
    TrainingQueued
    | TrainingHeldUp
    | TrainingStarted
    | TrainingProgress
    | TrainingFailed
    | TrainingReleased
    | TrainingFinished
    | ModelPublished
    | ModelWithheld
)


class Transactions(Protocol):
    """A database, or one session of it."""

    def transaction(self) -> AbstractAsyncContextManager[Connection]: ...


class Projector:
    """Handlers of both durable consumers. Without `notices` it only stores: nobody is told of anything."""

    def __init__(self, database: Transactions, store: Store, blobs: Blobs, notices: Notices | None) -> None:
        self._database = database
        self._store = store
        self._tables = store.projections
        self._blobs = blobs
        self._notices = notices

    async def on_event(self, event: Event, delivery: Delivery) -> None:
        """A fact of any service."""
        at = delivery.attributes.time
        if isinstance(event, DatasetReading):
            return await self._on_reading(event, at)
        report: ReportFacts | None = None
        manifest: DatasetManifest | None = None
        if isinstance(event, DatasetMetricPassed | DatasetMetricNotPassed):
            # Read before the transaction: storage may be slow.
            report = facts_of(await self._blobs.get_model(event.report.key, MetricReport))
        if isinstance(event, DatasetValidated):
            manifest = await self._manifest(event)
        async with self._database.transaction() as connection:
            if not await first_time(connection, delivery.durable, delivery.attributes.id):
                return None
            if self._notices is not None:
                await enqueue(self._store.webhooks, connection, event, delivery.attributes)
            match event:
                case (
                    DatasetUploaded()
                    | DatasetValidated()
                    | DatasetRejected()
                    | DatasetLookedInto()
                    | DatasetMetricStarted()
                ):
                    await self._on_dataset(connection, event, at, manifest)
                case DatasetMetricPassed() | DatasetMetricNotPassed() if report is not None:
                    await self._on_metric(connection, event, at, report)
                case DatasetReceiptIssued():
                    await self._store.receipts.add(connection, event.dataset, event.signed)
                case MetricRerunFinished():
                    await self._store.reruns.finish(connection, event, at)
                    await self._tell_of_reruns(connection, event.dataset)
                case PredictionFinished() | PredictionRefused():
                    await self._on_prediction(connection, event, at)
                case PredictionStructureRead():
                    pass  # nothing to show before it is predicted
                case (
                    MetricRerunRequested()
                    | DatasetShared()
                    | DatasetPublished()
                    | DatasetMadePublic()
                    | DatasetWithdrawn()
                    | PredictionRequested()
                ):
                    pass  # our own words: their rows committed with them
                case ModelAliased():
                    await self._store.versions.add_alias_move(connection, event, at)
                case ModelRetired():
                    await self._store.versions.set_retired(connection, event, at)
                case ModelMarked():
                    await self._store.versions.set_marked(connection, event, at)
                case StandardReleased():
                    await self._tables.add_standard_version(connection, event.number, at, event)
                case ModelRescored():
                    await self._tables.add_standard_score(connection, event.version, at, event.standard)
                case (
                    TrainingQueued()
                    | TrainingHeldUp()
                    | TrainingStarted()
                    | TrainingProgress()
                    | TrainingFailed()
                    | TrainingReleased()
                    | TrainingFinished()
                    | ModelPublished()
                    | ModelWithheld()
                ):
                    await self._on_round(connection, event, at)
                case _:
                    log.info("event-without-projection", type=delivery.attributes.type)
        return None

    async def _manifest(self, event: DatasetValidated) -> DatasetManifest | None:
        """What the archive holds, read before the transaction. Without it the dataset is found by all else."""
        try:
            return await self._blobs.get_model(event.manifest.key, DatasetManifest)
        except BlobMissing:
            log.warning("manifest-missing", dataset=str(event.dataset), key=event.manifest.key)
            return None

    async def _add_facts(self, connection: Connection, manifest: DatasetManifest, ref: DatasetRef) -> None:
        reduced = {reduced_formula(one.formula) for one in manifest.compositions[:FORMULAS_KEPT]} - {None}
        formulas = sorted(one for one in reduced if one)
        await self._store.catalogue.set_facts(connection, ref, formulas, manifest.element_pairs)

    async def on_dead_letter(self, raw: Raw) -> None:
        """A message that a service gave up on: its contributions are held up on our side, with the reason."""
        headers = {key.lower(): value for key, value in raw.headers.items()}
        reason = headers.get("dead-reason", "a step failed")[:REASON_LENGTH]
        await self._keep(headers, reason)
        if await self._is_about_no_stage(raw, reason):
            return
        at = _time(headers.get("dead-time"))
        kind, _, rest = headers.get("ce-subject", "").partition("/")
        try:
            about = _dataset_ref(rest) if kind == "dataset" else UUID(rest) if kind == "round" else None
        except ValueError:
            about = None
        if about is None:
            log.error("dead-letter-about-nobody", subject=raw.subject, reason=reason)
            return
        async with self._database.transaction() as connection:
            if isinstance(about, UUID):
                refs = await self._tables.datasets_of_round(connection, about)
            else:
                refs = [about]
            for ref in refs:
                await self._tables.lock(connection, ref)
                if await self._tables.hold_up(connection, ref, reason, at):
                    await self._tell(connection, ref, None)
                    await self._tables.notify(connection, QUEUE_TOPIC)
        log.warning("contributions-held-up", datasets=[str(ref) for ref in refs], reason=reason)

    async def _keep(self, headers: Mapping[str, str], reason: str) -> None:
        """For operators: they have it handled once more, or drop it."""
        sequence = headers.get("dead-stream-sequence", "")
        if not sequence.isdecimal():
            return
        letter = DeadLetter(
            consumer=headers.get("dead-consumer", ""),
            event_id=headers.get("ce-id", sequence),
            sequence=int(sequence),
            subject=headers.get("dead-subject", ""),
            about=headers.get("ce-subject", ""),
            reason=reason,
            attempts=int(headers.get("dead-attempts", "1")),
            died=_time(headers.get("dead-time")),
        )
        async with self._database.transaction() as connection:
            await self._store.operating.add_dead_letter(connection, letter)

    async def _is_about_no_stage(self, raw: Raw, reason: str) -> bool:
        """Progress and repetitions hold nobody's contribution up. A repetition that was given up is told as such."""
        subject = raw.subject.removeprefix(DEAD_LETTER_PREFIX)
        if subject == MetricRerunRequested.nats_subject:
            try:
                asked = MetricRerunRequested.model_validate_json(raw.body)
            except ValidationError:
                log.error("dead-letter-unreadable", subject=subject, reason=reason)
                return True
            async with self._database.transaction() as connection:
                if await self._store.reruns.give_up(connection, asked.rerun_id, reason):
                    await self._tell_of_reruns(connection, asked.dataset)
        elif subject in PREDICTIONS:
            await self._give_prediction_up(raw)
        elif subject not in BESIDE_THE_WAY:
            return False
        log.error("dead-letter-beside-the-way", subject=subject, reason=reason)
        return True

    async def _on_prediction(
        self, connection: Connection, event: PredictionFinished | PredictionRefused, at: datetime
    ) -> None:
        if self._notices is None:
            return  # an answer to somebody who waited, kept for a while: no read table
        result = event.result if isinstance(event, PredictionFinished) else None
        reason = None if result is not None else event.reason or NOT_PREDICTED
        await self._store.predictions.finish(connection, event.prediction_id, at, result, reason, event.remedy)

    async def _give_prediction_up(self, raw: Raw) -> None:
        """Whoever waits for it is told."""
        headers = {key.lower(): value for key, value in raw.headers.items()}
        try:
            prediction_id = UUID(headers.get("ce-subject", "").removeprefix("prediction/"))
        except ValueError:
            log.error("dead-letter-about-nobody", subject=raw.subject)
            return
        at = _time(headers.get("dead-time"))
        async with self._database.transaction() as connection:
            await self._store.predictions.finish(connection, prediction_id, at, None, NOT_PREDICTED, TRY_LATER)

    async def _tell_of_reruns(self, connection: Connection, ref: DatasetRef) -> None:
        if self._notices is None:
            return
        await self._tables.lock(connection, ref)
        await tell(self._store, connection, ref, {"reruns"})

    async def _on_reading(self, event: DatasetReading, at: datetime) -> None:
        """Comes every second and is soon out of date: the newest replaces the one before, outside of inbox and log."""
        async with self._database.transaction() as connection:
            before = await self._tables.lock(connection, event.dataset)
            shown = await self._tables.set_reading(connection, event.dataset, event, at)
            if before["held_up"] and before["held_up_at"] < at:
                await self._tell(connection, event.dataset, at)
            if shown and self._notices is not None:
                await self._tables.notify(connection, f"{READING_TOPIC}{event.dataset}")

    async def _on_dataset(
        self,
        connection: Connection,
        event: DatasetUploaded | DatasetValidated | DatasetRejected | DatasetLookedInto | DatasetMetricStarted,
        at: datetime,
        manifest: DatasetManifest | None,
    ) -> None:
        await self._tables.lock(connection, event.dataset)
        match event:
            case DatasetValidated():
                newest = await self._tables.set_fact(connection, "validated", event.dataset, event, at)
                if newest and manifest is not None:
                    await self._add_facts(connection, manifest, event.dataset)
            case DatasetRejected():
                await self._tables.set_fact(connection, "rejected", event.dataset, event, at)
            case DatasetLookedInto():
                await self._tables.set_fact(connection, "looked_into", event.dataset, event, at)
            case DatasetMetricStarted():
                await self._tables.set_fact(connection, "metric_started", event.dataset, event, at)
        await self._tell(connection, event.dataset, at, {"ingest", "looked_into", "download", "frame_files"})

    async def _on_metric(
        self,
        connection: Connection,
        event: DatasetMetricPassed | DatasetMetricNotPassed,
        at: datetime,
        report: ReportFacts,
    ) -> None:
        await self._tables.lock(connection, event.dataset)
        outcome = event.outcome if isinstance(event, DatasetMetricNotPassed) else "passed"
        metric = event.model_dump(mode="json") | {"outcome": outcome}
        await self._tables.set_metric(connection, event.dataset, metric, at, report)
        await self._tell(connection, event.dataset, at, {"metric"})

    async def _on_round(self, connection: Connection, event: RoundEvent, at: datetime) -> None:
        await self._tables.lock_round(connection, event.round_id, at)
        point_step = None
        match event:
            case TrainingQueued():
                newest = await self._tables.set_queued(connection, event.round_id, event, at)
                for ref in event.datasets:
                    branch = event.branches.get(str(ref), "")
                    await self._tables.add_round_dataset(connection, event.round_id, ref, branch, newest)
            case TrainingHeldUp():
                await self._tables.set_waits_for(connection, event, at)
            case TrainingStarted():
                await self._tables.set_started(connection, event, at)
            case TrainingProgress():
                await self._tables.set_progress(connection, event)
                for error in event.branches:
                    await self._tables.add_point(connection, event, error)
                point_step = event.step
            case TrainingFailed():
                await self._tables.set_failed(connection, event.round_id, event.attempt, event)
            case TrainingReleased():
                for ref in event.datasets:
                    await self._tables.set_released(connection, event, ref, at)
            case TrainingFinished():
                await self._tables.set_ending(connection, "finished", event.round_id, event)
            case ModelPublished():
                await self._tables.set_ending(connection, "published", event.round_id, event)
                await self._tables.add_model(connection, event.version, at, event)
                if event.standard is not None:
                    await self._tables.add_standard_score(connection, event.version, at, event.standard)
            case ModelWithheld():
                await self._tables.set_ending(connection, "withheld", event.round_id, event)
        for ref in await self._tables.datasets_of_round(connection, event.round_id):
            await self._tables.lock(connection, ref)
            await self._tell(connection, ref, at, {"training", "growth"}, point_step)

    async def _tell(
        self,
        connection: Connection,
        ref: DatasetRef,
        at: datetime | None,
        sections: Iterable[str] = (),
        point_step: int | None = None,
    ) -> None:
        """Derive where the contribution stands, and log for its watchers what has changed. Holds its lock."""
        before = await self._tables.lock(connection, ref)
        now = await self._settled(connection, ref, at)
        if self._notices is None or not await tell(self._store, connection, ref, sections, point_step):
            return  # an entry of another installation, or a log that is replayed into an empty database
        if before["state"] != now.state or before["held_up"]:
            await self._tables.notify(connection, QUEUE_TOPIC)
        if before["state"] != now.state:
            await self._notices.tell(connection, ref, now)

    async def settle(self, connection: Connection, ref: DatasetRef) -> None:
        """Derive where the contribution stands, from what is known now."""
        await self._tables.lock(connection, ref)
        await self._settled(connection, ref, None)

    async def _settled(self, connection: Connection, ref: DatasetRef, at: datetime | None) -> Standing:
        now = standing(await self._tables.facts(connection, ref))
        await self._tables.set_standing(connection, ref, now, at)
        return now


def _dataset_ref(text: str) -> DatasetRef:
    dataset_id, _, version = text.partition("/")
    return DatasetRef(dataset_id=UUID(dataset_id), version=int(version))


def _time(text: str | None) -> datetime:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
