"""What happens without being asked: lost leases are offered again, rounds planned, spent objects deleted."""

import asyncio

import psycopg
from contracts import keys
from kit.blobs import Blobs
from kit.db import Database
from kit.logs import get_logger
from psycopg_pool import PoolTimeout

from registry.ports import Spent
from registry.rounds.leakage import Leakage
from registry.rounds.service import Rounds

log = get_logger(__name__)


class Timer:
    """Looks again and again; any number of replicas may run, as the use cases lock what they take."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        store: Spent,
        rounds: Rounds,
        leakage: Leakage,
        check_seconds: float,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._store = store
        self._rounds = rounds
        self._leakage = leakage
        self._check_seconds = check_seconds

    async def run(self, grace_seconds: float) -> None:
        """Until cancelled. For `grace_seconds` first nobody counts as gone.

        While no registry answered no worker could renew its lease or ask for one; it gets the time to do so now.
        """
        loop = asyncio.get_running_loop()
        settled_from = loop.time() + grace_seconds
        while True:
            try:
                await self.look(sweep=loop.time() >= settled_from)
            except (psycopg.OperationalError, PoolTimeout, OSError) as error:
                log.warning("timer-waits-for-infrastructure", error=repr(error))
                settled_from = loop.time() + grace_seconds
            await asyncio.sleep(self._check_seconds)

    async def look(self, sweep: bool) -> None:
        """One look at leases, waiting list, workers and spent objects. `sweep`: whoever is silent now is gone."""
        lost = sweep
        while lost:
            async with self._database.transaction() as conn:
                lost = await self._rounds.sweep(conn) is not None
        await self._leakage.look()
        async with self._database.transaction() as conn:
            await self._rounds.plan_if_due(conn)
        if sweep:
            async with self._database.transaction() as conn:
                await self._rounds.tell_if_held_up(conn)
        await self.collect()

    async def collect(self) -> None:
        """Delete the work in progress of ended rounds and checkpoints that nobody resumes from.

        Objects go first: a crash in between repeats a deletion and loses no trace of an object.
        """
        async with self._database.transaction() as conn:
            ended = await self._store.uncollected_rounds(conn)
            superseded = await self._store.superseded_checkpoints(conn)
        for round_id in ended:
            await self._blobs.delete_prefix(keys.round_file(round_id, ""))
            async with self._database.transaction() as conn:
                await self._store.mark_collected(conn, round_id)
        for round_id, checkpoint in superseded:
            await self._blobs.delete(checkpoint.blob.key)
            async with self._database.transaction() as conn:
                await self._store.forget_checkpoint(conn, round_id, checkpoint.step)
