"""Use cases of published models."""

from uuid import UUID

from contracts.base import BlobRef
from contracts.events import ModelPublished
from kit.db import Database
from kit.queries import Row

from gateway import assemble, views
from gateway.datasets import Download
from gateway.problems import Problem, not_found
from gateway.store import Store

LATEST = "latest"


class Models:
    """What everybody may see."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def all(self) -> list[views.ModelView]:
        """Newest version first."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            rows = await self._store.entries.models(connection)
            named: set[UUID] = {
                UUID(one["dataset"]["dataset_id"]) for row in rows for one in row["event"]["datasets"] if one["dataset"]
            }
            private = await self._store.entries.private_among(connection, sorted(named))
            withdrawn = await self._store.entries.withdrawn_among(connection, sorted(named))
        return [assemble.model_view(row, number == 0, private, withdrawn) for number, row in enumerate(rows)]

    async def get(self, version: str) -> views.ModelView:
        """By number ('1.1') or 'latest'. 404 when there is none."""
        for model in await self.all():
            if version in (model.version, *model.aliases):
                return model
        raise _no_model(version)

    async def file(self, version: str, name: str) -> Download:
        """A file of a version. Its bytes never change."""
        async with self._database.transaction() as connection:
            rows = await self._store.entries.models(connection)
        event = _find(rows, version)
        blobs: dict[str, BlobRef] = {file.name: file.blob for file in event.files}
        if name not in blobs:
            raise not_found("file", f"Version {event.version} has {', '.join(sorted(blobs))}.")
        suffix = name.rpartition("/")[2]
        return Download(blobs[name], f"dpa-{event.version}-{suffix}", private=False)


def _find(rows: list[Row], version: str) -> ModelPublished:
    for number, row in enumerate(rows):
        if version == row["version"] or (version == LATEST and number == 0):
            return ModelPublished.model_validate(row["event"])
    raise _no_model(version)


def _no_model(version: str) -> Problem:
    if version == LATEST:
        return not_found("model", "No version has been published yet: come back when the first round is done.")
    return not_found("model", "See /api/v1/models for the versions there are.")
