"""Use cases of published versions: one, the history, which branch for which elements, their files."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from contracts.artifacts import PublishedManifest
from contracts.base import BlobRef, Frozen
from contracts.events import ModelPublished
from contracts.standard import StandardScore
from kit.blobs import BlobMissing, Blobs
from kit.bus import is_infrastructure
from kit.db import Database
from kit.logs import get_logger
from kit.queries import Connection, Row
from pydantic import ValidationError

from gateway.entries import assemble
from gateway.problems import Problem, not_found
from gateway.store import Store
from gateway.views.files import Download
from gateway.views.models import ModelView
from gateway.views.queue import PRIVATE_NAME

log = get_logger(__name__)

LATEST = "latest"
HISTORY_PAGE = 50
MANIFESTS_KEPT = 64


class NewDataset(Frozen):
    """A dataset that joined with a version; a private one has neither id nor name."""

    id: UUID | None
    url: str | None
    name: str


class ModelBrief(Frozen):
    """A version in the history."""

    version: str
    parent: str | None
    published: datetime
    datasets: int
    new_datasets: tuple[NewDataset, ...]
    contributors: tuple[str, ...]
    standard_score: float
    standard: StandardScore | None
    aliases: tuple[str, ...]
    retired: datetime | None
    retired_reason: str | None
    withdrawn_branches: tuple[str, ...]
    withdrawn_ancestral_datasets: int
    download: str | None


class HistoryView(Frozen):
    """A page of the history, newest first. `older`: the version to go on from."""

    models: tuple[ModelBrief, ...]
    versions: int
    older: str | None


class Models:
    """What everybody may see."""

    def __init__(self, database: Database, store: Store, blobs: Blobs) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._manifests: dict[str, PublishedManifest | None] = {}

    async def all(self) -> list[ModelView]:
        """Newest version first."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            rows = await self._store.versions.find(connection, await self._store.versions.all(connection))
            names = await self._names(connection)
            private, withdrawn = await self._set_apart(connection, rows)
        return [assemble.model_view(row, names.get(row["version"], ()), private, withdrawn) for row in rows]

    async def get(self, version: str) -> ModelView:
        """By number ('1.1') or by alias ('latest'). 404 when there is none."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            row = await self._row(connection, version)
            names = await self._names(connection)
            private, withdrawn = await self._set_apart(connection, [row])
            parent = row["event"]["parent"]
            before = await self._store.versions.scores(connection, parent) if parent else []
        return assemble.model_view(row, names.get(row["version"], ()), private, withdrawn, before)

    async def newest(self) -> ModelView | None:
        """What `latest` points to; None before there is a version."""
        try:
            return await self.get(LATEST)
        except Problem:
            return None

    async def history(self, before: str | None = None, limit: int = HISTORY_PAGE) -> HistoryView:
        """404 for `before` that is no version's number."""
        numbers = None
        if before is not None:
            parts = before.split(".")
            if not all(part.isascii() and part.isdecimal() and len(part) < 9 for part in parts):
                raise _no_model(before)
            numbers = [int(part) for part in parts]
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            rows = await self._store.versions.history(connection, numbers, limit + 1)
            count = await self._store.versions.count(connection)
            names = await self._names(connection)
        shown = rows[:limit]
        return HistoryView(
            models=tuple(_brief(row, names.get(row["version"], ())) for row in shown),
            versions=count,
            older=shown[-1]["version"] if len(rows) > limit else None,
        )

    async def manifest(self, model: ModelView) -> PublishedManifest | None:
        """What is in its branches. None when storage does not give it out just now: pages do without."""
        if model.manifest is None:
            return None
        if model.manifest.sha256 not in self._manifests:
            try:
                found = await self._blobs.get_model(model.manifest.key, PublishedManifest)
            except (BlobMissing, ValidationError) as error:
                log.error("manifest-unreadable", version=model.version, error=str(error)[:300])
                found = None
            except Exception as error:
                if not is_infrastructure(error):
                    raise
                log.warning("manifest-not-there-now", version=model.version, error=repr(error))
                return None
            if len(self._manifests) >= MANIFESTS_KEPT:
                self._manifests.pop(next(iter(self._manifests)))
            self._manifests[model.manifest.sha256] = found
        return self._manifests[model.manifest.sha256]

    async def file(self, version: str, name: str) -> Download:
        """A file of a version. Its bytes never change."""
        async with self._database.transaction() as connection:
            row = await self._row(connection, version)
        event = ModelPublished.model_validate(row["event"])
        blobs: dict[str, BlobRef] = {file.name: file.blob for file in event.files}
        if name not in blobs:
            raise not_found("file", f"Version {event.version} has {', '.join(sorted(blobs))}.")
        suffix = name.rpartition("/")[2]
        return Download(blobs[name], f"dpa-{event.version}-{suffix}", private=False)

    async def _row(self, connection: Connection, version: str) -> Row:
        number: str | None = version
        if not version[:1].isdecimal():
            number = (await self._store.versions.aliases(connection)).get(version)
            if number is None and version == LATEST:
                number = await self._store.versions.newest(connection)
        rows = await self._store.versions.find(connection, [number]) if number else []
        if not rows:
            raise _no_model(version)
        return rows[0]

    async def _names(self, connection: Connection) -> Mapping[str, tuple[str, ...]]:
        """Version → its aliases."""
        aliases = await self._store.versions.aliases(connection)
        if LATEST not in aliases and (newest := await self._store.versions.newest(connection)):
            aliases[LATEST] = newest
        names: dict[str, tuple[str, ...]] = {}
        for alias, version in sorted(aliases.items()):
            names[version] = (*names.get(version, ()), alias)
        return names

    async def _set_apart(self, connection: Connection, rows: list[Row]) -> tuple[set[UUID], set[UUID]]:
        """Datasets that are private now, and those that were withdrawn."""
        named = sorted(
            {UUID(one["dataset"]["dataset_id"]) for row in rows for one in row["event"]["datasets"] if one["dataset"]}
        )
        entries = self._store.entries
        return await entries.private_among(connection, named), await entries.withdrawn_among(connection, named)


def _brief(row: Row, aliases: tuple[str, ...]) -> ModelBrief:
    """Of a row of `history_of_models`."""
    new = []
    for one in row["new_datasets"]:
        shown = one["id"] is not None and one["name"] is not None
        new.append(
            NewDataset(
                id=one["id"] if shown else None,
                url=assemble.dataset_url(one["id"]) if shown else None,
                name=one["name"] if shown else PRIVATE_NAME,
            )
        )
    return ModelBrief(
        version=row["version"],
        parent=row["parent"],
        published=row["published"],
        datasets=row["datasets"],
        new_datasets=tuple(new),
        contributors=tuple(row["contributors"]),
        standard_score=row["standard_score"],
        standard=StandardScore.model_validate(row["score"]) if row["score"] else None,
        aliases=aliases,
        retired=row["retired"],
        retired_reason=row["retired_reason"],
        withdrawn_branches=tuple(row["withdrawn_branches"]),
        withdrawn_ancestral_datasets=row["withdrawn_ancestral_datasets"],
        download=assemble.model_file_url(row["version"], row["checkpoint"]) if row["checkpoint"] else None,
    )


def _no_model(version: str) -> Problem:
    if version == LATEST:
        return not_found("model", "No version has been published yet: come back when the first round is done.")
    return not_found("model", "Look through the list of versions.")
