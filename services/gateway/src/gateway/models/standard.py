"""Use case of the standard dataset: how good every version of the model is on the same frames."""

from datetime import datetime
from typing import Any

from contracts.base import Frozen
from contracts.standard import StandardScore
from kit.db import Database
from kit.queries import Row
from pydantic import Field

from gateway.store import Store


class ScoredVersionView(Frozen):
    """A published version and its score on the newest standard dataset that it was scored on."""

    version: str
    published: datetime
    score: StandardScore | None = Field(description="none: it was not scored on any yet")
    current: bool = Field(description="the score is of the current standard dataset; if not, it waits to be re-scored")


class StandardView(Frozen):
    """The standard dataset as anyone may know it, and every version on it."""

    number: int | None = Field(description="of the current version, shown as S<number>; none before there is one")
    released: datetime | None
    branches: int
    frames: int
    versions: tuple[ScoredVersionView, ...] = Field(description="oldest first")


class Standards:
    """What everybody may see: numbers of branches, never a dataset."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def history(self) -> StandardView:
        """For charts of energy and force RMSE by version."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            newest = await self._store.entries.newest_standard(connection)
            rows = await self._store.entries.standard_history(connection)
        return standard_view(newest, rows)


def standard_view(newest: Row | None, rows: list[Row]) -> StandardView:
    """`newest`: of `standard_versions`; `rows`: every model with its newest score, newest version first."""
    event: dict[str, Any] = newest["event"] if newest else {"branches": 0, "frames": 0}
    number = newest["number"] if newest else None
    return StandardView(
        number=number,
        released=newest["released"] if newest else None,
        branches=event["branches"],
        frames=event["frames"],
        versions=tuple(_scored(row, number) for row in reversed(rows)),
    )


def _scored(row: Row, number: int | None) -> ScoredVersionView:
    score = None if row["score"] is None else StandardScore.model_validate(row["score"])
    return ScoredVersionView(
        version=row["version"],
        published=row["published"],
        score=score,
        # A score may arrive before the word that its standard dataset was released.
        current=score is not None and score.standard >= (number or 0),
    )
