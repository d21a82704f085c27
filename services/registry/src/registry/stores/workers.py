"""The registry's table of workers. Every method runs inside its caller's transaction."""

from kit.queries import Connection, Queries
from psycopg.types.json import Jsonb

from registry.domain.rounds import Round
from registry.domain.workers import Announcement, Worker
from registry.stores.rows import maybe_round, worker_of


class WorkerStore:
    """Rows in, frozen domain values out."""

    _queries: Queries

    async def announce(self, conn: Connection, worker: Announcement) -> None:
        """The worker is here, with this hardware."""
        await self._queries.execute(
            conn,
            "announce_worker",
            worker_id=worker.worker_id,
            hostname=worker.hostname,
            gpus=Jsonb([{"name": one.name, "memory_bytes": one.memory_bytes} for one in worker.gpus]),
            cpu_name=worker.cpu_name,
            cpu_cores=worker.cpu_cores,
            memory_bytes=worker.memory_bytes,
            presets=list(worker.presets),
            deepmd_version=worker.deepmd_version,
            torch_version=worker.torch_version,
            launcher=worker.launcher,
            processes=worker.processes,
        )

    async def heard_of(self, conn: Connection, worker_id: str) -> None:
        """It lives, though it does not ask for a round."""
        await self._queries.execute(conn, "see_worker", worker_id=worker_id)

    async def set_refusal(self, conn: Connection, worker_id: str, reason: str | None) -> None:
        await self._queries.execute(conn, "set_refusal", worker_id=worker_id, reason=reason)

    async def workers(self, conn: Connection, live_seconds: float, *, everyone: bool) -> list[Worker]:
        """Those heard of within `live_seconds`, or all; last seen first."""
        rows = await self._queries.all(conn, "workers", live_seconds=live_seconds, everyone=everyone)
        return [worker_of(row) for row in rows]

    async def waiting_round(self, conn: Connection) -> Round | None:
        """The round that waits for a worker, locked; none while growth is paused or another lease is being given."""
        return maybe_round(await self._queries.one(conn, "waiting_round"))

    async def set_held_up(self, conn: Connection, round_: Round, reason: str | None) -> None:
        await self._queries.execute(conn, "set_held_up", round_id=round_.round_id, reason=reason)

    async def deepmd_version(self, conn: Connection, version: str) -> str | None:
        """Of deepmd-kit that trained a model; none: it does not tell."""
        row = await self._queries.one(conn, "deepmd_version", version=version)
        return None if row is None else row["deepmd_version"]
