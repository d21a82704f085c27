"""Duplicates, overlaps and leakage among ten million known frames: what asking and joining cost, and how it grows.

The frames join as they do in service (a hundred datasets, one after another, each in ascending order), so that the
index is as full as it would be. Then a new dataset asks; a twentieth of its frames is known. A hundred million need
ten times the room; a frame costs one index descent, which gets one page deeper for every factor of about 300.
"""

import asyncio
import os
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import numpy as np
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.events import DatasetUploaded
from frames.hashing import HashArray
from ingest.selecting import Elsewhere, Selection
from ingest.store import Store
from kit.db import Database
from kit.migrations import migrate
from kit.queries import Connection

KNOWN = int(os.environ.get("POTLUCK_BENCH_KNOWN_FRAMES", "10_000_000"))
DATASETS = 100
ASKED = (1_000, 100_000)
STORE = Store()


def hashes(count: int, seed: int) -> HashArray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def uploaded(number: int) -> DatasetUploaded:
    return DatasetUploaded(
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        owner_id=uuid4(),
        credit=Credit(title=f"Dataset {number}", authors=(), licence="CC-BY-4.0", private=bool(number % 4 == 0)),
        archive=BlobRef(key="x", sha256="a" * 64, size=1),
        filename="x.tar",
        format="detect",
    )


async def fill(database: Database) -> list[float]:
    """Seconds that each dataset took to join."""
    seconds = []
    for number in range(DATASETS):
        read = hashes(KNOWN // DATASETS, number)
        nothing = np.zeros(len(read), dtype=np.bool_)
        held_out = np.arange(len(read)) % 10 == 0
        selection = Selection(read, held_out, b"", Elsewhere(nothing, nothing, nothing))
        started = time.perf_counter()
        async with database.transaction() as connection:
            await STORE.keep_frames(connection, uploaded(number), selection)
        seconds.append(time.perf_counter() - started)
    return seconds


def asked(count: int) -> HashArray:
    """A twentieth of them known, from every tenth dataset."""
    per_dataset = count // 20 // 10
    known = [hashes(KNOWN // DATASETS, number)[:per_dataset] for number in range(0, DATASETS, 10)]
    new = hashes(count - 10 * per_dataset, DATASETS + count)
    return np.concatenate([*known, new])


async def plan(connection: Connection, read: HashArray) -> str:
    text = STORE._queries._named("frames_elsewhere").as_string()
    keys = sorted(UUID(bytes=bytes(row[:16])) for row in read[:10_000])
    query = f"explain (analyze, buffers, costs off) {text}".encode()
    cursor = await connection.execute(query, {"hashes": keys, "after": 0})
    return "\n".join(f"    {row['QUERY PLAN']}" for row in await cursor.fetchall())


async def measure(dsn: str) -> None:
    async with Database.opened(dsn, "bench", 2) as database:
        joined = await fill(database)
        first, last = np.median(joined[:10]), np.median(joined[-10:])
        size = KNOWN // DATASETS
        print(f"\n{KNOWN:,} known frames of {DATASETS} datasets; {size:,} frames join in {first:.2f} s at first,")
        print(f"in {last:.2f} s at the end ({1e6 * last / size:.1f} µs a frame)")
        async with database.transaction() as connection:
            await connection.execute("analyze known_frames")
            cursor = await connection.execute(
                "select pg_relation_size('known_frames') as heap, pg_relation_size('known_frames_hash') as index"
            )
            row = await cursor.fetchone()
            assert row is not None
            for name, value in row.items():
                tenfold = value * 10**8 / KNOWN / 1e9
                print(f"{name:>8} {value / 1e6:8.0f} MB, {value / KNOWN:5.1f} bytes a frame; {tenfold:5.1f} GB for 10⁸")
            for count in ASKED:
                read = asked(count)
                seconds = []
                for _ in range(3):
                    started = time.perf_counter()
                    found = await STORE.elsewhere(connection, uploaded(1), read)
                    seconds.append(time.perf_counter() - started)
                assert int((found.held_out | found.trained).sum()) == 10 * (count // 20 // 10)
                assert len(found.overlaps) == sum(number % 4 != 0 for number in range(0, DATASETS, 10))
                print(f"{count:,} new frames ask: {seconds[0] * 1e3:.0f} ms at first, then {min(seconds) * 1e3:.0f} ms")
                print(await plan(connection, read))


def test_known_frames(service_env: Callable[[str], dict[str, str]]) -> None:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "ingest")
    asyncio.run(measure(dsn))
