"""The only place that runs SQL. Rows go out as dicts or domain types; transactions belong to the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.base import BranchError, DatasetRef, Frozen
from contracts.events import MetricRerunFinished, TrainingHeldUp, TrainingProgress, TrainingReleased, TrainingStarted
from contracts.signed import SignedReceipt, canonical
from contracts.standard import StandardScore
from kit.queries import Connection, Queries, Row
from psycopg.types.json import Jsonb

from gateway.agreements import Agreement
from gateway.catalogue_store import Catalogue, Versions
from gateway.domain import Facts, RoundFacts, Standing
from gateway.drafts import Author
from gateway.operator_store import Operating
from gateway.people_store import Identities, Letters, People


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


def _required(row: Row | None) -> Row:
    if row is None:
        raise LookupError("the statement returned no row")
    return row


class Uploads:
    """Uploads in progress: rows beside the files."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def add(self, c: Connection, most: int, **columns: Any) -> bool:
        """False when the person has `most` unpublished uploads already."""
        return await self._q.one(c, "insert_upload", **columns, most=most) is not None

    async def place(self, c: Connection, upload_id: UUID) -> None:
        """Its file has been made where its region is."""
        await self._q.execute(c, "place_upload", upload_id=upload_id)

    async def find(self, c: Connection, upload_id: UUID) -> Row | None:
        return await self._q.one(c, "upload", upload_id=upload_id)

    async def lock(self, c: Connection, upload_id: UUID) -> bool:
        return await self._q.one(c, "lock_upload", upload_id=upload_id) is not None

    async def touch(self, c: Connection, upload_id: UUID, received: int) -> None:
        await self._q.execute(c, "touch_upload", upload_id=upload_id, received=received)

    async def finish(self, c: Connection, upload_id: UUID, sha256: str) -> None:
        await self._q.execute(c, "finish_upload", upload_id=upload_id, sha256=sha256)

    async def remove(self, c: Connection, upload_id: UUID) -> bool:
        """False when an entry was published from it, or it is gone."""
        return await self._q.execute(c, "delete_upload", upload_id=upload_id) == 1

    async def expired(self, c: Connection, seconds: float) -> list[Row]:
        """`upload_id` and `region` of each."""
        return await self._q.all(c, "expired_uploads", seconds=seconds)

    async def unpublished(self, c: Connection, owner_id: UUID) -> list[Row]:
        return await self._q.all(c, "unpublished_uploads", owner_id=owner_id)


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
        return int(_required(await self._q.one(c, "count_entries", reader_id=reader_id, mine=mine))["total"])

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


class Projections:
    """Writes of the read tables. Every statement may be repeated and may come late."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock(self, c: Connection, ref: DatasetRef) -> Row:
        """The contribution's row, made if it is not there; others wait until the transaction ends."""
        key = {"dataset_id": ref.dataset_id, "version": ref.version}
        await self._q.execute(c, "ensure_contribution", **key)
        return _required(await self._q.one(c, "lock_contribution", **key))

    async def set_fact(self, c: Connection, fact: str, ref: DatasetRef, event: Frozen, at: datetime) -> None:
        """`fact`: validated, rejected or metric_started."""
        await self._q.execute(
            c, f"set_{fact}", dataset_id=ref.dataset_id, version=ref.version, event=json_of(event), at=at
        )

    async def set_reading(self, c: Connection, ref: DatasetRef, event: Frozen, at: datetime) -> bool:
        """False when there is newer news, or the outcome."""
        told = Jsonb(event.model_dump(mode="json", exclude={"dataset"}))
        parameters = {"dataset_id": ref.dataset_id, "version": ref.version, "event": told, "at": at}
        return await self._q.execute(c, "set_reading", **parameters) == 1

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
        row = _required(await self._q.one(c, "facts", dataset_id=ref.dataset_id, version=ref.version))
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

    async def lock_round(self, c: Connection, round_id: UUID) -> None:
        await self._q.execute(c, "ensure_round", round_id=round_id)
        await self._q.execute(c, "lock_round", round_id=round_id)

    async def set_queued(self, c: Connection, round_id: UUID, event: Frozen, at: datetime) -> None:
        await self._q.execute(c, "set_queued", round_id=round_id, event=json_of(event), at=at)

    async def add_round_dataset(self, c: Connection, round_id: UUID, ref: DatasetRef, branch: str) -> None:
        await self._q.execute(
            c,
            "add_round_dataset",
            round_id=round_id,
            dataset_id=ref.dataset_id,
            version=ref.version,
            branch=branch,
        )

    async def set_released(self, c: Connection, event: TrainingReleased, ref: DatasetRef) -> None:
        await self._q.execute(
            c,
            "set_released",
            round_id=event.round_id,
            dataset_id=ref.dataset_id,
            version=ref.version,
            event=Jsonb(event.model_dump(mode="json", exclude={"datasets"})),
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

    async def set_waits_for(self, c: Connection, event: TrainingHeldUp) -> None:
        await self._q.execute(c, "set_waits_for", round_id=event.round_id, attempt=event.attempt, event=json_of(event))

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


class Reruns:
    """Repetitions of metric runs."""

    def __init__(self, queries: Queries) -> None:
        self._q = queries

    async def lock_person(self, c: Connection, person_id: UUID) -> None:
        """Until the transaction ends nobody else counts this person's requests."""
        await self._q.execute(c, "lock_reruns_of", person_id=person_id)

    async def count(self, c: Connection, person_id: UUID, window_seconds: float) -> tuple[int, float]:
        """How many within the window, and in how many seconds the oldest leaves it."""
        found = _required(await self._q.one(c, "count_reruns_of", person_id=person_id, window_seconds=window_seconds))
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


class Store:
    """Everything that the gateway keeps, by room."""

    def __init__(self) -> None:
        queries = Queries.load("gateway")
        self.people = People(queries)
        self.identities = Identities(queries)
        self.letters = Letters(queries)
        self.uploads = Uploads(queries)
        self.entries = Entries(queries)
        self.projections = Projections(queries)
        self.reruns = Reruns(queries)
        self.catalogue = Catalogue(queries)
        self.versions = Versions(queries)
        self.operating = Operating(queries)
        self.receipts = Receipts(queries)
