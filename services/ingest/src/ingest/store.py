"""The only SQL of ingest."""

from contracts.base import BlobRef, DatasetRef
from contracts.events import DatasetRejected, DatasetValidated
from kit.queries import Connection, Queries, Row


class Store:
    """Dataset versions and what became of them. Every method runs inside the caller's transaction."""

    def __init__(self) -> None:
        self._queries = Queries.load("ingest")

    async def begin(self, connection: Connection, dataset: DatasetRef) -> int | None:
        """Which attempt at reading this is (1, 2, …); None when the dataset has an outcome already."""
        row = await self._queries.one(connection, "begin_dataset", **dataset.model_dump())
        return None if row is None else int(row["attempts"])

    async def settle(self, connection: Connection, outcome: DatasetValidated | DatasetRejected) -> bool:
        """Keep the outcome; False when there is one already."""
        key = outcome.dataset.model_dump()
        if isinstance(outcome, DatasetRejected):
            rows = await self._queries.execute(
                connection, "settle_rejected", **key, rule=outcome.rule, reason=outcome.reason
            )
        else:
            rows = await self._queries.execute(
                connection,
                "settle_validated",
                **key,
                format=outcome.format,
                content_sha256=outcome.content_sha256,
                frames=outcome.frames,
                manifest=_json(outcome.manifest),
            )
        return rows == 1

    async def dataset(self, connection: Connection, dataset: DatasetRef) -> Row | None:
        return await self._queries.one(connection, "dataset", **dataset.model_dump())


def _json(ref: BlobRef) -> str:
    return ref.model_dump_json()
