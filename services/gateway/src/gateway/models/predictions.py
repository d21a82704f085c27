"""Use cases of trying a version on a structure of one's own: ask, see where it stands, forget."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from contracts import keys
from contracts.artifacts import StructurePrediction
from contracts.base import BlobRef, Frozen
from contracts.events import PredictionRequested
from kit.blobs import BlobMissing, Blobs
from kit.db import Database
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection, Row
from pydantic import Field

from gateway.domain import Person
from gateway.models.models import Models
from gateway.problems import Problem, invalid_field, not_found
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.views.models import ModelView

log = get_logger(__name__)

WINDOW = timedelta(hours=1)
FIELDS = ("structure", "branch")


class PredictionView(Frozen):
    """A structure that somebody sent, for whoever has its address."""

    id: UUID
    url: str
    model_version: str
    requested: datetime
    expires: datetime
    state: Literal["waiting", "done", "refused"]
    position: int | None = Field(default=None, description="in the line, from 1; none: it waits no more")
    reason: str | None = Field(default=None, description="why it was not predicted")
    remedy: str | None = None
    result: StructurePrediction | None = None


class Predictions:
    """Raises Problem for everything that a person can put right."""

    def __init__(
        self, database: Database, store: Store, blobs: Blobs, models: Models, settings: GatewaySettings
    ) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._models = models
        self._settings = settings

    async def ask(self, reader: Person | None, address: str, version: str, fields: dict[str, Any]) -> PredictionView:
        """Have `structure` (text) predicted by `branch`, or by the public one that knows its elements best.

        `address` is where a stranger asks from: so many an hour are allowed to each.
        """
        text, branch = self._read(fields)
        model = await self._models.get(version)
        branches = await self._may_answer(model, branch)
        requester = f"person:{reader.id}" if reader else f"address:{_digest(address)}"
        prediction_id = uuid4()
        async with self._database.transaction() as connection:
            await self._store.predictions.lock(connection)
            await self._within_limits(connection, requester)
            await self._store.predictions.add(connection, prediction_id, model.version, requester)
        stored = await self._blobs.put_bytes(keys.prediction_file(prediction_id, "text"), text)
        async with self._database.transaction() as connection:
            await self._store.predictions.set_sent(connection, prediction_id)
            await emit(
                connection,
                PredictionRequested(
                    prediction_id=prediction_id, text=stored, model_version=model.version, branches=branches
                ),
            )
        log.info("prediction-requested", prediction=str(prediction_id), version=model.version, bytes=len(text))
        return await self.get(prediction_id)

    def too_large(self, size: int) -> Problem:
        return Problem(
            413,
            "structure-too-large",
            "Too large",
            f"The text has {size:,} bytes, and at most {self._settings.prediction_bytes:,} are read.",
            field="structure",
            remedy="Send one structure of some hundred atoms, or download the model.",
        )

    async def get(self, prediction_id: UUID) -> PredictionView:
        async with self._database.transaction() as connection:
            row = await self._store.predictions.find(connection, prediction_id)
        if row is None:
            raise not_found("prediction", "Structures and predictions are deleted after a day: send it again.")
        return await self._view(row)

    async def expire(self) -> None:
        """Delete what is older than a day, with its objects."""
        seconds = self._settings.prediction_hours * 3600
        async with self._database.transaction() as connection:
            old = await self._store.predictions.expired(connection, seconds)
        for prediction_id in old:
            await self._blobs.delete_prefix(keys.prediction_file(prediction_id, ""))
        async with self._database.transaction() as connection:
            await self._store.predictions.delete(connection, old)

    def _read(self, fields: dict[str, Any]) -> tuple[bytes, str | None]:
        if unknown := sorted(set(fields) - set(FIELDS)):
            raise invalid_field(unknown[0][:100], "There is no such field.", f"The fields are: {', '.join(FIELDS)}.")
        text, branch = fields.get("structure"), fields.get("branch") or None
        if not isinstance(text, str) or not text.strip():
            raise invalid_field(
                "structure", "There is no structure.", "Paste or choose one as POSCAR, CIF, xyz or extended xyz."
            )
        if branch is not None and not isinstance(branch, str):
            raise invalid_field("branch", "This is no name of a branch.", "Name one, or leave it out.")
        data = text.encode(errors="replace")
        if len(data) > self._settings.prediction_bytes:
            raise self.too_large(len(data))
        return data, branch

    async def _may_answer(self, model: ModelView, branch: str | None) -> tuple[str, ...]:
        """Branches whose elements are public; those whose data was withdrawn only when they are asked for."""
        manifest = await self._models.manifest(model)
        public = [one.name for one in manifest.branches if one.elements] if manifest else []
        if not public:
            raise Problem(
                409,
                "nothing-to-ask",
                "Not offered",
                "No public branch of this version can be asked here.",
                remedy="Download the model and use it on your machine.",
            )
        if branch is None:
            return tuple(one for one in public if one not in model.withdrawn_branches) or tuple(public)
        if branch not in public:
            raise invalid_field(
                "branch", "This version has no such public branch.", f"Its branches are: {', '.join(public)}."
            )
        return (branch,)

    async def _within_limits(self, connection: Connection, requester: str) -> None:
        most, line = self._settings.predictions_per_hour, self._settings.predictions_waiting
        asked, free_in, waiting = await self._store.predictions.count(connection, requester, WINDOW.total_seconds())
        if asked >= most:
            raise Problem(
                429,
                "too-many-predictions",
                "Enough for now",
                f"You sent {asked} structures within the last hour; {most} are allowed.",
                remedy="Try again later, or download the model: your own machine has no such limit.",
                headers={"retry-after": str(max(1, round(free_in)))},
            )
        if waiting >= line:
            raise Problem(
                429,
                "line-full",
                "The line is full",
                f"{waiting} structures wait already.",
                remedy="Try again in a minute.",
                headers={"retry-after": "60"},
            )

    async def _view(self, row: Row) -> PredictionView:
        done = row["finished"] is not None
        reason, remedy, result = row["reason"], row["remedy"], None
        if row["result"] is not None:
            try:
                result = await self._blobs.get_model(BlobRef.model_validate(row["result"]).key, StructurePrediction)
            except BlobMissing:
                raise not_found("prediction", "It was deleted: send the structure again.") from None
        return PredictionView(
            id=row["prediction_id"],
            url=f"/api/v1/predictions/{row['prediction_id']}",
            model_version=row["model_version"],
            requested=row["requested"],
            expires=row["requested"] + timedelta(hours=self._settings.prediction_hours),
            state="waiting" if not done else "refused" if result is None else "done",
            position=None if done else row["ahead"] + 1,
            reason=reason,
            remedy=remedy,
            result=result,
        )


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:32]
