"""Datasets that share frames, on a real PostgreSQL: they join as a service would have them join."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np
from contracts.base import BlobRef, Credit, DatasetRef, LevelOfTheory
from contracts.envelope import Attributes, Event
from contracts.events import DatasetUploaded, DatasetValidated
from frames.hashing import HashArray
from ingest.domain import Progress, Tell
from ingest.selecting import Ask, Elsewhere, Selection, select
from ingest.service import Outcome
from ingest.store import Store
from kit.bus import Delivery
from kit.db import Database

OWNER = uuid4()
STORE = Store()


def uploaded(
    title: str, owner: UUID = OWNER, private: bool = False, dataset: DatasetRef | None = None
) -> DatasetUploaded:
    return DatasetUploaded(
        dataset=dataset or DatasetRef(dataset_id=uuid4(), version=1),
        owner_id=owner,
        credit=Credit(title=title, authors=(), licence="CC-BY-4.0", private=private),
        archive=BlobRef(key="x", sha256="a" * 64, size=1),
        filename="x.tar",
        format="detect",
    )


def hashes(count: int, seed: int) -> HashArray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


async def join(database: Database, event: DatasetUploaded, read: HashArray) -> Selection:
    """As a service does: ask, decide, keep."""
    async with database.transaction() as connection:
        others = await STORE.elsewhere(connection, event, read)

    async def ask(_hashes: HashArray) -> Elsewhere:
        return others

    selection = await select(read, ask)
    async with database.transaction() as connection:
        assert await STORE.joined_since(connection, selection) == []
        await STORE.keep_frames(connection, event, selection)
    return selection


@dataclass
class Overtaken:
    """Reads the same frames every time; `meanwhile` happens during the first."""

    frames: HashArray
    meanwhile: Callable[[], Awaitable[object]]
    read_before: list[Selection] = field(default_factory=list)

    async def read(self, event: DatasetUploaded, tell: Tell, ask: Ask) -> Outcome:
        tell(Progress("parsing", calculations=1))
        selection = await select(self.frames, ask)
        if not self.read_before:
            await self.meanwhile()
        self.read_before.append(selection)
        blob = BlobRef(key="x", sha256="a" * 64, size=1)
        told = DatasetValidated(
            dataset=event.dataset, credit=event.credit, manifest=blob, content_sha256=selection.content_sha256,
            format="extxyz", frames=selection.frames, train_frames=selection.train_frames,
            held_out_frames=selection.held_out_frames, duplicate_frames=0, elements=("Si",), has_virial=False,
            level_of_theory=LevelOfTheory(), set_aside_count=0, set_aside=(),
        )  # fmt: skip
        return Outcome(told, selection)


def delivery(event: Event, durable: str = "ingest-dataset-uploaded") -> Delivery:
    attributes = Attributes(
        id=uuid4(), type=event.ce_type(), source="potluck/gateway", subject=event.about(), time=datetime.now(UTC)
    )
    return Delivery(durable, attributes, 1)


async def outbox(database: Database) -> list[str]:
    async with database.transaction() as connection:
        cursor = await connection.execute("select subject from outbox order by seq")
        return [row["subject"] for row in await cursor.fetchall()]
