"""Use cases of dataset entries: publish one, read one, list them, see the queue."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from contracts import keys
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.events import DatasetUploaded
from kit.blobs import Blobs
from kit.db import Database
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection, Row
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from gateway import assemble, drafts, reports, views, waiting
from gateway.domain import Facts, Person, round_stage, standing
from gateway.formats import Formats
from gateway.problems import Problem, invalid_field, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store, round_facts
from gateway.uploads import Upload, Uploads

log = get_logger(__name__)

QUEUE_TOPIC = "queue"
READING_TOPIC = "reading "
MAX_PAGE = 100_000
RECENT_RUNS = 20
RERUNS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Download:
    """An object that a reader may have, and the name to save it under."""

    blob: BlobRef
    filename: str
    private: bool


class Datasets:
    """Raises Problem for everything that a person can put right. A reader of None is a stranger."""

    def __init__(
        self,
        database: Database,
        store: Store,
        blobs: Blobs,
        uploads: Uploads,
        formats: Formats,
        settings: GatewaySettings,
    ) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._uploads = uploads
        self._formats = formats
        self._settings = settings

    async def publish(self, person: Person, payload: Mapping[str, Any], key: str | None = None) -> views.DatasetView:
        """Turn a complete upload into an entry and set it on its way.

        `payload`: the fields of POST /api/v1/datasets. Repeated with the same `key` it answers with the entry that
        the first one made. 422 names every wrong field.
        """
        key = drafts.read_key(key)
        request_sha256 = drafts.fingerprint(payload)
        if key is not None and (earlier := await self._published_before(person, key, request_sha256)):
            return await self.get(person, earlier)
        rules = drafts.Rules(await self._formats.by_name(), self._settings.licences, self._settings.agreement)
        draft = drafts.read_draft(payload, rules)
        upload = await self._own_upload(person, draft.upload_id)
        sha256 = await self._uploads.finished(upload)
        if draft.sha256 is not None and draft.sha256 != sha256:
            raise invalid_field(
                "sha256",
                f"The archive that arrived has SHA-256 {sha256}.",
                "It is not the file that you meant: upload it again.",
            )
        # The bytes move before the entry exists: a crash in between leaves an upload that can still be published.
        archive = await self._adopted(upload, sha256)
        try:
            dataset_id = await self._commit(person, draft, upload, archive, key, request_sha256)
        except UniqueViolation:
            # The same request, sent twice at once: the other one has committed.
            earlier = await self._published_before(person, key, request_sha256) if key else None
            if earlier is None:
                raise _published_already() from None
            dataset_id = earlier
        return await self.get(person, dataset_id)

    async def get(self, reader: Person | None, dataset_id: UUID) -> views.DatasetView:
        """404 for what this reader may not see."""
        view, _position = await self.snapshot(reader, dataset_id)
        return view

    async def snapshot(self, reader: Person | None, dataset_id: UUID) -> tuple[views.DatasetView, int]:
        """The view and the position in the log that it belongs to, of one moment."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            row = await self._visible(connection, reader, dataset_id)
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            (view,) = await views_of(self._store, connection, [ref], reader.id if reader else None)
            return view, await self._store.entries.position(connection, ref)

    async def page(self, reader: Person | None, mine: bool = False, page: int = 1) -> views.DatasetPage:
        """Newest first. 401 when a stranger asks for their own, 422 for a page that cannot be."""
        if mine and reader is None:
            raise Problem(
                401,
                "not-signed-in",
                "Sign in first",
                "Your own datasets are shown when you are signed in.",
                remedy="Sign in, or leave 'mine' out.",
            )
        if not 1 <= page <= MAX_PAGE:
            raise invalid_field("page", "There is no such page.", "Pages count from 1.")
        size = self._settings.page_size
        reader_id = reader.id if reader else None
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            total = await self._store.entries.count(connection, reader_id, mine)
            refs = await self._store.entries.page(connection, reader_id, mine, size, (page - 1) * size)
            found = await views_of(self._store, connection, refs, reader_id)
        shown = tuple(assemble.brief(view) for view in found)
        return views.DatasetPage(datasets=shown, page=page, pages=-(-total // size), total=total)

    async def queue(self, reader: Person | None) -> views.QueueView:
        """What is checked, waits and trains; private contributions of others have no name."""
        reader_id = reader.id if reader else None
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            lines = await self._store.entries.lines(connection)
            rounds = await self._store.entries.open_rounds(connection)
            runs = await self._store.entries.recent_runs(connection, RECENT_RUNS)
        etas = _etas(lines, runs)
        by_line: dict[str, list[views.QueueEntry]] = defaultdict(list)
        for row in lines:
            eta = etas.get(_ref_of(row))
            by_line[row["line"]].append(assemble.queue_entry(row, reader_id, row["position"], eta))
        return views.QueueView(
            check=tuple(by_line["check"]),
            train=tuple(by_line["train"]),
            rounds=tuple(
                assemble.queue_round(row, reader_id)
                for row in rounds
                if round_stage(round_facts(row["round"])) != "failed"
            ),
        )

    async def archive(self, reader: Person | None, dataset_id: UUID) -> Download:
        """What `assemble.shared_archive` says; before ingest has looked into it, its owner may have it back."""
        row = await self._entry(reader, dataset_id)
        own = reader is not None and row["owner_id"] == reader.id
        found = assemble.shared_archive(row) or (assemble.original_archive(row) if own else None)
        if found is None:
            raise not_found(
                "archive",
                "An archive is offered once it has been read and searched for files that may not be shared.",
            )
        return Download(*found, row["private"])

    async def frames(self, reader: Person | None, dataset_id: UUID, name: str) -> Download:
        """The frames that are trained on ('train.mdb') or measured on ('held-out.mdb'), as an LMDB data file."""
        row = await self._entry(reader, dataset_id)
        files = assemble.frame_files(row)
        if name not in files:
            known = f"It has {', '.join(files)}." if files else "They are there when the archive has been read."
            raise not_found("file", known)
        return Download(files[name], f"{dataset_id}-{name}", row["private"])

    async def picture(self, reader: Person | None, dataset_id: UUID, name: str) -> Download:
        row = await self._entry(reader, dataset_id)
        picture = (row["pictures"] or {}).get(name)
        if picture is None:
            raise not_found("picture", "The pictures are there when the metric has run.")
        return Download(BlobRef.model_validate(picture), name, row["private"])

    async def table(self, reader: Person | None, dataset_id: UUID, name: str) -> Download:
        """A row a frame, every rule with its value."""
        row = await self._entry(reader, dataset_id)
        table = (row["tables"] or {}).get(name)
        if table is None:
            raise not_found("table", "The tables are there when the metric has run.")
        return Download(BlobRef.model_validate(table), name, row["private"])

    async def metric_report(self, reader: Person | None, dataset_id: UUID) -> bytes:
        """Everything that the metric found, as JSON; 404 before it has run."""
        row = await self._entry(reader, dataset_id)
        if row["metric"] is None:
            raise not_found("report", "It is there when the metric has run.")
        stored = await self._blobs.get_bytes(row["metric"]["report"]["key"])
        # Of 100,000 frames it has megabytes.
        return await asyncio.to_thread(reports.readable, stored, dataset_id)

    async def _entry(self, reader: Person | None, dataset_id: UUID) -> Row:
        async with self._database.transaction() as connection:
            return await self._visible(connection, reader, dataset_id)

    async def _visible(self, connection: Connection, reader: Person | None, dataset_id: UUID) -> Row:
        """The one gate that every read of a dataset passes."""
        row = await self._store.entries.find(connection, dataset_id, reader.id if reader else None)
        if row is None:
            raise not_found("dataset", None if reader else "If it is yours, sign in.")
        return row

    async def _own_upload(self, person: Person, upload_id: UUID) -> Upload:
        try:
            upload = await self._uploads.find(person, upload_id)
        except Problem:
            raise invalid_field(
                "upload_id", "There is no such upload of yours.", "It may have expired: upload the archive again."
            ) from None
        if upload.dataset_id is not None:
            raise _published_already()
        return upload

    async def _adopted(self, upload: Upload, sha256: str) -> BlobRef:
        key, path = keys.upload_archive(upload.id), self._uploads.spool.path(upload.id)
        for _ in range(2):
            with suppress(FileNotFoundError):
                return await self._blobs.adopt_file(key, path, sha256)
            # The same request, sent twice at once: the other one has just moved the file. Now it is found there.
        raise Problem(
            410,
            "upload-gone",
            "The upload is gone",
            f"The bytes of {upload.filename} are not here any more.",
            field="upload_id",
            remedy="Upload the archive again.",
        )

    async def _published_before(self, person: Person, key: str, request_sha256: str) -> UUID | None:
        async with self._database.transaction() as connection:
            row = await self._store.entries.by_key(connection, person.id, key)
        if row is None:
            return None
        if row["request_sha256"] != request_sha256:
            raise invalid_field(
                "Idempotency-Key",
                "This key came with another request before.",
                "Use a new key for a new dataset, and the same key only to repeat a request.",
            )
        dataset_id: UUID = row["dataset_id"]
        return dataset_id

    async def _commit(
        self,
        person: Person,
        draft: drafts.Draft,
        upload: Upload,
        archive: BlobRef,
        key: str | None,
        request_sha256: str,
    ) -> UUID:
        """Entry, read table and DatasetUploaded in one transaction. Raises UniqueViolation when it is there."""
        ref = DatasetRef(dataset_id=uuid4(), version=1)
        event = DatasetUploaded(
            dataset=ref,
            owner_id=person.id,
            credit=Credit(title=draft.name, authors=draft.authors, licence=draft.licence, private=draft.private),
            archive=archive,
            filename=upload.filename,
            format=draft.format,
            declared=draft.level_of_theory,
        )
        declared = draft.level_of_theory
        async with self._database.transaction() as connection:
            if not await self._store.uploads.lock(connection, upload.id):
                raise not_found("upload", "It expired a moment ago: upload the archive again.")
            await self._store.entries.add(
                connection,
                dataset_id=ref.dataset_id,
                version=ref.version,
                owner_id=person.id,
                upload_id=upload.id,
                title=draft.name,
                authors=list(draft.authors),
                format=draft.format,
                licence=draft.licence,
                private=draft.private,
                description=draft.description,
                declared=Jsonb(declared.model_dump(mode="json")) if declared else None,
                agreement=draft.agreement,
                filename=upload.filename,
                archive_key=archive.key,
                archive_sha256=archive.sha256,
                archive_size=archive.size,
                idempotency_key=key,
                request_sha256=request_sha256,
            )
            await self._store.projections.set_standing(connection, ref, standing(Facts()), None)
            await self._store.projections.notify(connection, QUEUE_TOPIC)
            await emit(connection, event)
        log.info("dataset-published", dataset=str(ref), upload=str(upload.id), private=draft.private)
        return ref.dataset_id


async def views_of(
    store: Store, connection: Connection, refs: Sequence[DatasetRef], reader_id: UUID | None = None
) -> list[views.DatasetView]:
    """Views in the order of `refs`, as this reader sees them (none: a stranger)."""
    rows = await store.entries.rows(connection, refs)
    round_ids = [row["round_id"] for row in rows.values() if row["round_id"]]
    curves: dict[tuple[UUID, str], list[views.CurvePoint]] = defaultdict(list)
    for point in await store.entries.curves(connection, round_ids):
        curves[point["round_id"], point["branch"]].append(views.CurvePoint.model_validate(point))
    reruns: dict[DatasetRef, list[views.RerunView]] = defaultdict(list)
    for one in await store.reruns.of(connection, refs):
        reruns[_ref_of(one)].append(assemble.rerun_view(one))
    somebody_waits = any(row["state"] in ("uploaded", "validated", "checking", "passed") for row in rows.values())
    places = await queue_places(store, connection) if somebody_waits else {}
    names = await store.entries.visible_names(connection, assemble.overlapping(rows.values()), reader_id)
    return [
        assemble.dataset_view(
            rows[ref],
            assemble.Around(
                curve=tuple(curves[rows[ref]["round_id"], rows[ref]["branch"]]),
                queue=places.get(ref),
                reruns=tuple(reruns[ref][:RERUNS_SHOWN]),
                names=names,
                reader_id=reader_id,
            ),
        )
        for ref in refs
    ]


async def queue_places(store: Store, connection: Connection) -> dict[DatasetRef, views.QueuePlace]:
    """Where everybody stands who waits and is not held up."""
    lines = await store.entries.lines(connection)
    etas = _etas(lines, await store.entries.recent_runs(connection, RECENT_RUNS))
    places = {}
    for row in lines:
        if row["position"] is None:
            continue
        ref = _ref_of(row)
        eta = etas.get(ref)
        places[ref] = views.QueuePlace(
            line=row["line"],
            position=row["position"],
            ahead=row["position"] - 1,
            eta_low_seconds=eta.low if eta else None,
            eta_high_seconds=eta.high if eta else None,
        )
    return places


def _etas(lines: Sequence[Row], runs: Sequence[Row]) -> dict[DatasetRef, waiting.Range]:
    """Of the line for the check: when each will have its verdict."""
    line = [row for row in lines if row["line"] == "check" and row["position"] is not None]
    found = waiting.ranges(
        [waiting.Waiting(frames=row["frames"], started=row["started"]) for row in line],
        [waiting.Run(**row) for row in runs],
        datetime.now(UTC),
    )
    return {_ref_of(row): eta for row, eta in zip(line, found, strict=True) if eta is not None}


def _ref_of(row: Row) -> DatasetRef:
    return DatasetRef(dataset_id=row["dataset_id"], version=row["version"])


def _published_already() -> Problem:
    return Problem(
        409,
        "upload-published",
        "Already published",
        "A dataset has been published from this upload.",
        field="upload_id",
        remedy="Look at My Uploads; for another dataset, upload another archive.",
    )
