"""Use cases of readers: one dataset, lists of them, what hangs on them, the queue."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from contracts.artifacts import DatasetManifest
from contracts.base import BlobRef, DatasetRef
from kit.blobs import BlobMissing, Blobs
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection, Row

from gateway.domain import Person, round_stage
from gateway.entries import assemble, history, reports, waiting
from gateway.entries.waiting_training import OpenRound, PastRound, training_ranges
from gateway.exports.citation import Cited
from gateway.problems import Problem, invalid_field, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.stores.projections import round_facts
from gateway.views.datasets import ContentsView, CurvePoint, DatasetPage, DatasetView, QueuePlace, RerunView
from gateway.views.files import Download
from gateway.views.past import ConsentView, DatasetPast
from gateway.views.queue import QueueEntry, QueueView

log = get_logger(__name__)

QUEUE_TOPIC = "queue"
READING_TOPIC = "reading "
MAX_PAGE = 100_000
RECENT_RUNS = 20
RECENT_ROUNDS = 10
RERUNS_SHOWN = 5


class Datasets:
    """Raises Problem for everything that a person can put right. A reader of None is a stranger."""

    def __init__(self, database: Database, store: Store, blobs: Blobs, settings: GatewaySettings) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._settings = settings

    async def get(self, reader: Person | None, dataset_id: UUID, version: int | None = None) -> DatasetView:
        """The latest version that this reader may see, or the one that is asked for. 404 for others."""
        view, _position = await self.snapshot(reader, dataset_id, version)
        return view

    async def ref(self, reader: Person | None, dataset_id: UUID, version: int | None = None) -> DatasetRef:
        """Which version `get` would show. 404 likewise."""
        async with self._database.transaction() as connection:
            return _ref_of(await self._visible(connection, reader, dataset_id, version))

    async def snapshot(
        self, reader: Person | None, dataset_id: UUID, version: int | None = None
    ) -> tuple[DatasetView, int]:
        """The view and the position in the log that it belongs to, of one moment."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            row = await self._visible(connection, reader, dataset_id, version)
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            (view,) = await views_of(self._store, connection, [ref], reader.id if reader else None)
            return view, await self._store.entries.position(connection, ref)

    async def page(self, reader: Person | None, mine: bool = False, page: int = 1) -> DatasetPage:
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
        return DatasetPage(datasets=shown, page=page, pages=-(-total // size), total=total)

    async def queue(self, reader: Person | None) -> QueueView:
        """What is checked, waits and trains; private contributions of others have no name."""
        reader_id = reader.id if reader else None
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            lines = await self._store.entries.lines(connection)
            rounds = await self._store.entries.open_rounds(connection)
            etas = await _etas(self._store, connection, lines)
        by_line: dict[str, list[QueueEntry]] = defaultdict(list)
        for row in lines:
            eta = etas.get(_ref_of(row))
            by_line[row["line"]].append(assemble.queue_entry(row, reader_id, row["position"], eta))
        return QueueView(
            check=tuple(by_line["check"]),
            train=tuple(by_line["train"]),
            rounds=tuple(
                assemble.queue_round(row, reader_id)
                for row in rounds
                if round_stage(round_facts(row["round"])) != "failed"
            ),
        )

    async def past(
        self, reader: Person | None, dataset_id: UUID, version: int | None = None
    ) -> tuple[DatasetView, DatasetPast]:
        """The dataset with all its versions that this reader may see, and what happened to this one, newest first."""
        reader_id = reader.id if reader else None
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            row = await self._visible(connection, reader, dataset_id, version)
            ref = DatasetRef(dataset_id=dataset_id, version=row["version"])
            rows = await self._store.entries.rows(connection, [ref])
            (view,) = await _views(self._store, connection, rows, [ref], reader_id)
            versions = await self._store.entries.versions(connection, dataset_id, reader_id)
            models = await self._store.entries.models_of(connection, ref)
            consents = await self._store.entries.consents(connection, ref) if view.yours else []
        return view, DatasetPast(
            versions=tuple(history.version_view(one) for one in versions),
            activity=history.activity(rows[ref], view, models),
            models=tuple(one["version"] for one in models),
            consents=tuple(ConsentView.model_validate(one) for one in consents),
        )

    async def contents(self, reader: Person | None, dataset_id: UUID, version: int | None = None) -> ContentsView:
        """Structures to look at, and the commonest compositions; 404 before ingest has read the archive."""
        row = await self._held(reader, dataset_id, version)
        if row["validated"] is None:
            raise not_found("structure", "The structures are there when the archive has been read.")
        key = row["validated"]["manifest"]["key"]
        try:
            manifest = await self._blobs.get_model(key, DatasetManifest)
        except BlobMissing:
            log.error("manifest-missing", key=key)
            raise not_found("structure") from None
        return ContentsView(structures=manifest.preview, compositions=manifest.compositions)

    async def cited(
        self, reader: Person | None, dataset_id: UUID, version: int | None = None
    ) -> tuple[DatasetView, Cited]:
        """The dataset and how to cite it. 404 for a private one, also to its owner: others could not look it up."""
        view = await self.get(reader, dataset_id, version)
        cited = Cited.of(view)
        if cited is None:
            raise not_found("citation", "A dataset can be cited while it is public.")
        return view, cited

    async def archive(self, reader: Person | None, dataset_id: UUID, version: int | None = None) -> Download:
        """What `assemble.shared_archive` says; before ingest has looked into it, its owner may have it back."""
        row = await self._held(reader, dataset_id, version)
        own = reader is not None and row["owner_id"] == reader.id
        found = assemble.shared_archive(row) or (assemble.original_archive(row) if own else None)
        if found is None:
            raise not_found(
                "archive",
                "An archive is offered once it has been read and searched for files that may not be shared.",
            )
        return Download(*found, row["private"], row["region"])

    async def frames(self, reader: Person | None, dataset_id: UUID, name: str, version: int | None = None) -> Download:
        """The frames that are trained on ('train.mdb') or measured on ('held-out.mdb'), as an LMDB data file."""
        row = await self._held(reader, dataset_id, version)
        files = assemble.frame_files(row)
        if name not in files:
            known = f"It has {', '.join(files)}." if files else "They are there when the archive has been read."
            raise not_found("file", known)
        return Download(files[name], f"{dataset_id}-{name}", row["private"])

    async def picture(self, reader: Person | None, dataset_id: UUID, name: str, version: int | None = None) -> Download:
        row = await self._held(reader, dataset_id, version)
        picture = (row["pictures"] or {}).get(name)
        if picture is None:
            raise not_found("picture", "The pictures are there when the metric has run.")
        return Download(BlobRef.model_validate(picture), name, row["private"])

    async def table(self, reader: Person | None, dataset_id: UUID, name: str, version: int | None = None) -> Download:
        """A row a frame, every rule with its value."""
        row = await self._held(reader, dataset_id, version)
        table = (row["tables"] or {}).get(name)
        if table is None:
            raise not_found("table", "The tables are there when the metric has run.")
        return Download(BlobRef.model_validate(table), name, row["private"])

    async def metric_report(self, reader: Person | None, dataset_id: UUID, version: int | None = None) -> bytes:
        """Everything that the metric found, as JSON; 404 before it has run."""
        row = await self._held(reader, dataset_id, version)
        if row["metric"] is None:
            raise not_found("report", "It is there when the metric has run.")
        stored = await self._blobs.get_bytes(row["metric"]["report"]["key"])
        # Of 100,000 frames it has megabytes.
        return await asyncio.to_thread(reports.readable, stored, _ref_of(row))

    async def _held(self, reader: Person | None, dataset_id: UUID, version: int | None = None) -> Row:
        """The entry, of which files are asked for. 410 when they are no longer given out."""
        async with self._database.transaction() as connection:
            row = await self._visible(connection, reader, dataset_id, version)
        if row["withdrawn"]:
            raise Problem(
                410,
                "dataset-withdrawn",
                "Withdrawn",
                "Its contributor has withdrawn this dataset: its files are not given out any more.",
            )
        return row

    async def _visible(
        self, connection: Connection, reader: Person | None, dataset_id: UUID, version: int | None = None
    ) -> Row:
        """The one gate that every read of a dataset passes."""
        row = await self._store.entries.find(connection, dataset_id, reader.id if reader else None, version)
        if row is None:
            raise not_found("dataset", None if reader else "If it is yours, sign in.")
        return row


async def views_of(
    store: Store, connection: Connection, refs: Sequence[DatasetRef], reader_id: UUID | None = None
) -> list[DatasetView]:
    """Views in the order of `refs`, as this reader sees them (none: a stranger)."""
    return await _views(store, connection, await store.entries.rows(connection, refs), refs, reader_id)


async def _views(
    store: Store,
    connection: Connection,
    rows: Mapping[DatasetRef, Row],
    refs: Sequence[DatasetRef],
    reader_id: UUID | None,
) -> list[DatasetView]:
    round_ids = [row["round_id"] for row in rows.values() if row["round_id"]]
    curves: dict[tuple[UUID, str], list[CurvePoint]] = defaultdict(list)
    for point in await store.entries.curves(connection, round_ids) if round_ids else ():
        curves[point["round_id"], point["branch"]].append(CurvePoint.model_validate(point))
    reruns: dict[DatasetRef, list[RerunView]] = defaultdict(list)
    for one in await store.reruns.of(connection, refs):
        reruns[_ref_of(one)].append(assemble.rerun_view(one))
    somebody_waits = any(row["state"] in ("uploaded", "validated", "checking", "passed") for row in rows.values())
    places = await queue_places(store, connection) if somebody_waits else {}
    overlapping = assemble.overlapping(rows.values())
    names = await store.entries.visible_names(connection, overlapping, reader_id) if overlapping else {}
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


async def queue_places(store: Store, connection: Connection) -> dict[DatasetRef, QueuePlace]:
    """Where everybody stands who waits and is not held up."""
    lines = await store.entries.lines(connection)
    etas = await _etas(store, connection, lines)
    places = {}
    for row in lines:
        if row["position"] is None:
            continue
        ref = _ref_of(row)
        eta = etas.get(ref)
        places[ref] = QueuePlace(
            line=row["line"],
            position=row["position"],
            ahead=row["position"] - 1,
            eta_low_seconds=eta.low if eta else None,
            eta_high_seconds=eta.high if eta else None,
        )
    return places


async def _etas(store: Store, connection: Connection, lines: Sequence[Row]) -> dict[DatasetRef, waiting.Range]:
    """When each that waits will have its verdict, or a model that it trained."""
    standing = [row for row in lines if row["position"] is not None]
    check = [row for row in standing if row["line"] == "check"]
    train = [row for row in standing if row["line"] == "train"]
    found: dict[DatasetRef, waiting.Range] = {}
    if check:
        found |= _check_etas(check, await store.entries.recent_runs(connection, RECENT_RUNS))
    if train:
        past = await store.entries.past_rounds(connection, RECENT_ROUNDS)
        found |= _training_etas(train, await store.entries.rounds_under_way(connection), past)
    return found


def _training_etas(line: Sequence[Row], rounds: Sequence[Row], past: Sequence[Row]) -> dict[DatasetRef, waiting.Range]:
    under_way = [OpenRound(row["planned"], row["held_up"]) for row in rounds]
    own = {ref: one for row, one in zip(rounds, under_way, strict=True) for ref in row["datasets"]}
    refs = [_ref_of(row) for row in line]
    found = training_ranges(
        [own.get(str(ref)) for ref in refs], under_way, [PastRound(**row) for row in past], datetime.now(UTC)
    )
    return {ref: eta for ref, eta in zip(refs, found, strict=True) if eta is not None}


def _check_etas(line: Sequence[Row], runs: Sequence[Row]) -> dict[DatasetRef, waiting.Range]:
    found = waiting.ranges(
        [waiting.Waiting(frames=row["frames"], started=row["started"]) for row in line],
        [waiting.Run(**row) for row in runs],
        datetime.now(UTC),
    )
    return {_ref_of(row): eta for row, eta in zip(line, found, strict=True) if eta is not None}


def _ref_of(row: Row) -> DatasetRef:
    return DatasetRef(dataset_id=row["dataset_id"], version=row["version"])
