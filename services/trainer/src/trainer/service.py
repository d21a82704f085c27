"""The worker: leases one round after another until it is told to stop, and scores published models in between."""

import asyncio
from contextlib import suppress
from pathlib import Path

from kit.logs import get_logger
from kit.telemetry import remote_parent
from opentelemetry import trace

from trainer.cache import Cache
from trainer.domain import Lease, LeaseLost, NoWork, RegistryAway, RegistryRefused
from trainer.folders import attempt_folder, remove_abandoned
from trainer.process import ENGINE
from trainer.round import RoundRun, Tools
from trainer.scoring import Scorer

log = get_logger(__name__)
tracer = trace.get_tracer("trainer")

LONGEST_PAUSE_SECONDS = 15.0
SHORTEST_PAUSE_SECONDS = 0.2


class Worker:
    """Holds at most one lease at a time."""

    def __init__(self, tools: Tools, cache: Cache, attempts: Path, scorer: Scorer) -> None:
        self._tools = tools
        self._scorer = scorer
        self._cache = cache
        self._attempts = attempts
        self._stop = asyncio.Event()
        self._reachable = False
        self._refusal = ""

    async def ready(self) -> None:
        """Raises when the registry did not answer the last question."""
        if not self._reachable:
            raise ConnectionError("the registry does not answer")

    def stop(self) -> None:
        """Finish soon: the engine saves a checkpoint, the lease is handed back."""
        self._stop.set()

    async def run(self) -> None:
        """Until `stop`."""
        for name in await asyncio.to_thread(remove_abandoned, self._attempts):
            log.info("abandoned-attempt-removed", folder=name)
        pause = SHORTEST_PAUSE_SECONDS
        while not self._stop.is_set():
            await self._tools.nursery.prepare(ENGINE)
            try:
                answer = await self._tools.fleet.lease()
                self._reachable = True
                pause = SHORTEST_PAUSE_SECONDS
            except (RegistryAway, RegistryRefused, LeaseLost) as error:
                self._reachable = False
                log.warning("no-lease", seconds=pause, error=str(error))
                await self._wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            if isinstance(answer, NoWork):
                self._tell_refusal(answer.refusal)
                if not await self._scorer.score_one(self._stop):
                    await self._wait(max(answer.retry_after_seconds, SHORTEST_PAUSE_SECONDS))
            else:
                await self._round(answer)

    async def _round(self, lease: Lease) -> None:
        fields = {"round": str(lease.round_id), "fence": lease.fence}
        log.info("round-leased", **fields, attempt=lease.attempt, branches=[branch.name for branch in lease.branches])
        with remote_parent(lease.traceparent), tracer.start_as_current_span("round") as span:
            span.set_attribute("potluck.round", str(lease.round_id))
            try:
                with attempt_folder(self._attempts, f"{lease.round_id}-{lease.fence}") as folder:
                    verdict = await RoundRun(self._tools, lease, folder, self._stop).run()
                if verdict is not None:
                    log.info("round-submitted", **fields, published=verdict.published, version=verdict.version)
            except LeaseLost as error:
                log.warning("lease-lost", **fields, reason=str(error))
            except RegistryRefused as error:
                # A disagreement about the contract: the lease runs out and the registry counts the attempt.
                log.error("registry-refused", **fields, reason=str(error))
        await asyncio.to_thread(self._cache.trim)

    def _tell_refusal(self, refusal: str) -> None:
        """Once, not every two seconds."""
        if refusal and refusal != self._refusal:
            log.warning("round-refused", reason=refusal)
        self._refusal = refusal

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
