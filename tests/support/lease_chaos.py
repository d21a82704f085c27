"""Leases under fire: workers and the registry are killed at random, and everything is counted afterwards.

Real are the registry, PostgreSQL, NATS, gRPC, object storage and the workers (`python -m light.worker`); only the
training itself is light. Some workers are not killed but stopped for longer than their lease lasts: they come back
with a stale fence and go on where they were, up to their submission.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from contracts.artifacts import ModelManifest
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.envelope import Attributes, to_headers
from contracts.events import BY_TYPE, DatasetMetricPassed
from contracts.topology import EVENT_STREAM
from crystals import crystals
from kit.blobs import Blobs
from light.engine import SAVE_EVERY
from nats.js import JetStreamContext
from psycopg.rows import dict_row
from registry_examples import metric_passed
from trainer_fleet import PRESETS, TOKEN, stored_branch

SUPPORT = Path(__file__).parent
TTL_SECONDS = 0.8
STEPS = 40
POLICY: dict[str, object] = {
    "preset": "smoke",
    "first_round_min_datasets": 1,
    "gather_seconds": 0,
    "max_datasets_per_round": 1,
    "first_round_steps": STEPS,
    "growth_round_steps": STEPS,
    "lease_ttl_seconds": TTL_SECONDS,
    "seed": 1,
    # Every attempt may be lost: that is not what ends a round here.
    "max_attempts": 1000,
    "learned_min_reduction": 0,
    "standard_max_worsening": 1000,
    "remembered_max_rise": 1000,
}
WORKERS = 4
ZOMBIES = 0.25
"""Part of the workers that are stopped and come back."""
REGISTRY = 0.1
"""Part of the blows that hit the registry."""

HELD = """
select fence, coalesce((select max(step) from checkpoints where checkpoints.round_id = rounds.round_id), 0) as step
from rounds where state = 'training' limit 1
"""


@dataclass
class Aftermath:
    """What is found when no round is open any more."""

    leases: int
    struck: Counter[str]
    rounds: list[dict[str, Any]]
    models: dict[str, tuple[str, int]]
    """Version → its round, and the fence that its candidate was trained under."""
    datasets: dict[str, str]
    events: list[tuple[str, str, int | None]]
    """(kind, round, attempt) of every event of a round, in order."""
    refused: int
    """Attempts that ended because a successor owned the round."""
    seconds: float


@dataclass
class Battle:
    """One run of it. `environments`: of the registry and of the workers; `events`: the stream as its administrator."""

    folder: Path
    registry: Mapping[str, str]
    worker: Mapping[str, str]
    dsn: str
    metric: JetStreamContext
    events: JetStreamContext
    blobs: Blobs
    leases: int
    seed: int = 1
    struck: Counter[str] = field(default_factory=Counter)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def fought(self, most_seconds: float) -> Aftermath:
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._kept_running("registry", "registry", self.registry))
            for number in range(WORKERS):
                own = {**self.worker, "POTLUCK_TRAINER_WORKER_ID": f"worker-{number}"}
                name = f"worker-{number}"
                await stack.enter_async_context(self._kept_running(name, "light.worker", own))
            async with asyncio.timeout(most_seconds):
                # Its tables are made when it starts for the first time.
                while not await self._row("select 1 where to_regclass('rounds') is not null limit 1"):
                    await asyncio.sleep(0.1)
                await asyncio.gather(self._contribute(), self._strike())
                while await self._row("select 1 from rounds where state in ('waiting', 'training') limit 1") or (
                    await self._row("select 1 from datasets where state not in ('published') limit 1")
                ):
                    await asyncio.sleep(0.2)
                while await self._row("select 1 from outbox limit 1"):
                    await asyncio.sleep(0.1)
            return await self._aftermath(time.monotonic() - began)

    async def _contribute(self) -> None:
        """A new dataset whenever none waits, until there was enough of everything."""
        number = 0
        while not await self._enough():
            if not await self._row("select 1 from datasets where state in ('waiting', 'training') limit 1"):
                await self._tell(number)
                number += 1
            await asyncio.sleep(0.1)

    async def _tell(self, number: int) -> None:
        name = f"crystal-{number}"
        train, held_out = crystals("Si", "C", 2, 2 * number), crystals("Si", "C", 1, 2 * number + 1)
        stored = await stored_branch(self.blobs, self.folder, name, train, held_out, weight=1)
        manifest = stored.dataset_manifest
        ref = DatasetRef(dataset_id=stored.dataset_id, version=1)
        credit = Credit(title=name, authors=("chaos",), licence="CC-BY-4.0", private=False)
        event = metric_passed(ref, BlobRef(key=manifest.key, sha256=manifest.sha256, size=manifest.size), credit)
        report = stored.metric_report
        event = event.model_copy(
            update={"report": BlobRef(key=report.key, sha256=report.sha256, size=report.size), "energy_shift_ev": {}}
        )
        await tell(self.metric, event)
        while not await self._row(f"select 1 from datasets where title = '{name}'"):
            await asyncio.sleep(0.05)

    async def _strike(self) -> None:
        """One process after another, most of them those that hold the lease."""
        chance = random.Random(self.seed)
        while not await self._enough():
            if not await self._moment(chance):
                continue
            # Both are drawn each time, so that who is struck when does not depend on who was away before.
            at_registry, stopped = chance.random() < REGISTRY, chance.random() < ZOMBIES
            name = "registry" if at_registry else await self._holder()
            process = self.processes.get(name or "")
            if name is None or process is None or process.returncode is not None:
                continue
            with suppress(ProcessLookupError):
                if stopped and not at_registry:
                    process.send_signal(signal.SIGSTOP)
                    self.struck["stopped"] += 1
                    asyncio.get_running_loop().call_later(3 * TTL_SECONDS, _continue, process)
                else:
                    process.kill()
                    self.struck["registry" if name == "registry" else "worker"] += 1

    async def _moment(self, chance: random.Random) -> bool:
        """Somewhere in the life of the lease that is held now: at once, after so much work, or around its submission.

        By what was reached and not by the clock, so that rounds end on slow machines too. False when none is held: a
        registry that is struck again before it could give a lease would give none for as long as luck wants.
        """
        before = await self._row(HELD)
        if before is None:
            await asyncio.sleep(0.05)
            return False
        wanted = before["step"] + chance.choice((0, SAVE_EVERY, 2 * SAVE_EVERY, STEPS))
        while (now := await self._row(HELD)) and now["fence"] == before["fence"] and now["step"] < min(wanted, STEPS):
            await asyncio.sleep(0.05)
        await asyncio.sleep(chance.uniform(0, 0.5))
        return True

    async def _holder(self) -> str | None:
        row = await self._row("select worker from rounds where state = 'training'")
        return None if row is None else str(row["worker"])

    async def _enough(self) -> bool:
        """Leases, and blows at both: on a busy machine leases run out by themselves, before anybody is struck."""
        return bool(await self._given_out() >= self.leases and self.struck["worker"] and self.struck["registry"])

    async def _given_out(self) -> int:
        row = await self._row("select coalesce(sum(fence), 0) as n from rounds")
        return int(row["n"]) if row else 0

    async def _row(self, query: str) -> dict[str, Any] | None:
        found = await self._rows(query + ("" if " limit " in query else " limit 1"))
        return found[0] if found else None

    async def _rows(self, query: str) -> list[dict[str, Any]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, row_factory=dict_row) as connection:
            return await (await connection.execute(query.encode())).fetchall()

    @asynccontextmanager
    async def _kept_running(self, name: str, module: str, environment: Mapping[str, str]) -> AsyncIterator[None]:
        """Started again whenever it has gone, as a supervisor does."""
        task = asyncio.create_task(self._supervise(name, module, environment))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _supervise(self, name: str, module: str, environment: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            while True:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", module, env=dict(environment), stdout=log, stderr=log
                )
                self.processes[name] = process
                try:
                    await process.wait()
                finally:
                    if process.returncode is None:
                        process.kill()
                        await process.wait()
                await asyncio.sleep(0.05)

    async def _aftermath(self, seconds: float) -> Aftermath:
        models = {}
        for row in await self._rows("select version, round_id, manifest from models"):
            manifest = await self.blobs.get_model(row["manifest"]["key"], ModelManifest)
            models[row["version"]] = str(row["round_id"]), int(manifest.versions["fence"])
        rounds = await self._rows(
            "select round_id, state, fence, model_version, failures from rounds order by sequence"
        )
        datasets = {row["title"]: row["state"] for row in await self._rows("select title, state from datasets")}
        logs = [(self.folder / f"worker-{number}.log").read_text() for number in range(WORKERS)]
        return Aftermath(
            leases=await self._given_out(),
            struck=self.struck,
            rounds=[{**row, "round_id": str(row["round_id"])} for row in rounds],
            models=models,
            datasets=datasets,
            events=await told(self.events),
            refused=sum(log.count('"lease-lost"') for log in logs),
            seconds=seconds,
        )


def _continue(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)


async def tell(metric: JetStreamContext, event: DatasetMetricPassed) -> None:
    """As the metric service says it."""
    facts = {"type": event.ce_type(), "source": "potluck/metric", "subject": event.about(), "time": datetime.now(UTC)}
    attributes = Attributes.model_validate({"id": uuid4(), **facts})
    await metric.publish(
        event.nats_subject, event.body(), stream=EVENT_STREAM, headers=to_headers(attributes), timeout=20
    )


async def told(events: JetStreamContext) -> list[tuple[str, str, int | None]]:
    """Every event of a round in the stream: what, of which round, and of which attempt."""
    state = (await events.stream_info(EVENT_STREAM)).state
    found = []
    for sequence in range(1, state.last_seq + 1):
        message = await events.get_msg(EVENT_STREAM, sequence)
        assert message.headers is not None
        event = BY_TYPE[message.headers["ce-type"]].model_validate_json(message.data or b"")
        if round_id := getattr(event, "round_id", None):
            found.append((type(event).__name__, str(round_id), getattr(event, "attempt", None)))
    return found


def check(after: Aftermath, leases: int) -> None:
    """Every round ended once, by the candidate of its newest lease; nothing was lost and nothing told twice."""
    assert after.leases >= leases
    assert after.struck["worker"] > 0
    assert after.struck["registry"] > 0
    assert {row["state"] for row in after.rounds} == {"published"}
    assert set(after.datasets.values()) == {"published"}
    assert len(after.rounds) == len(after.datasets) == len(after.models)
    for row in after.rounds:
        # The stamp inside the published files is that of the lease that was the newest when the round ended.
        assert after.models[row["model_version"]] == (row["round_id"], row["fence"])
    facts = Counter((kind, round_id) for kind, round_id, _ in after.events)
    for row in after.rounds:
        for once in ("TrainingQueued", "TrainingFinished", "ModelPublished"):
            assert facts[once, row["round_id"]] == 1, (once, row)
        started = [
            attempt for kind, one, attempt in after.events if (kind, one) == ("TrainingStarted", row["round_id"])
        ]
        assert started == list(range(1, row["fence"] + 1))


def environments(env: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **env, **own, "PYTHONPATH": str(SUPPORT)}


def worker_environment(address: str, blobs: str, folder: Path) -> dict[str, str]:
    """All workers share a work folder, as on one machine."""
    return {
        "POTLUCK_TRAINER_REGISTRY_ADDRESS": address,
        "POTLUCK_TRAINER_FLEET_TOKEN": TOKEN,
        "POTLUCK_TRAINER_PRESETS": str(PRESETS),
        "POTLUCK_TRAINER_BLOBS_URL": blobs,
        "POTLUCK_TRAINER_WORK_FOLDER": str(folder),
        "POTLUCK_TRAINER_REPORT_SECONDS": "0.2",
        "POTLUCK_TRAINER_DEADLINE_SECONDS": "2",
    }
