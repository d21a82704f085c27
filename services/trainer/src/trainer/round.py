"""One lease: prepare, train, verify, submit; or hand back, fail, drop."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contracts.artifacts import DatasetManifest
from kit.blobs import Blobs
from kit.logs import get_logger
from opentelemetry import trace

from trainer.child import CRASHED, AttemptFailed, explained
from trainer.courier import Courier, persistently
from trainer.domain import Lease, LeaseLost, RegistryAway, RegistryRefused, Report, Verdict
from trainer.fleet import Fleet
from trainer.meter import Meter
from trainer.preparation import Preparation
from trainer.process import ENGINE, VERIFY, Child, Nursery
from trainer.submission import Ran, store_candidate
from trainer.work import Done, Failed, Message, Progress, Saved, Started, Stopped, Verified

log = get_logger(__name__)
tracer = trace.get_tracer("trainer")

# The verification imports while training ends, not before: two programs on two cores.
VERIFY_AHEAD = 0.8


SHUTTING_DOWN = "the worker is shutting down"
PAUSED = "growth is paused"
STOPPED_THERE = "the machine that trained was about to end the training program"


class StoppedOnRequest(Exception):
    """The worker was told to leave the round; what was reached is stored."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every round uses."""

    fleet: Fleet
    blobs: Blobs
    preparation: Preparation
    nursery: Nursery
    report_seconds: float
    stop_seconds: float
    meter: Callable[[], Meter]
    """Begins to count what an attempt uses."""


class RoundRun:
    """Carries one lease to its end. `stop` is set when the worker must go."""

    def __init__(self, tools: Tools, lease: Lease, folder: Path, stop: asyncio.Event) -> None:
        self._tools = tools
        self._lease = lease
        self._folder = folder
        self._stop = stop
        self._leave: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._meter = tools.meter()
        self._device = "cpu"
        self._courier = Courier(tools.fleet, tools.blobs, lease, tools.report_seconds)

    async def run(self) -> Verdict | None:
        """The registry's verdict; none when the attempt ended without a candidate, which the registry knows then.

        Raises LeaseLost, RegistryRefused; nothing of the attempt goes on running.
        """
        companions = [asyncio.create_task(self._beat()), asyncio.create_task(self._courier.run())]
        listener = asyncio.create_task(self._leave_on_stop())
        attempt = asyncio.create_task(self._attempt())
        try:
            await asyncio.wait({attempt, *companions}, return_when=asyncio.FIRST_COMPLETED)
            for companion in companions:
                if companion.done():
                    companion.result()
            return await attempt
        finally:
            for task in (attempt, listener, *companions):
                task.cancel()
            await asyncio.gather(attempt, listener, *companions, return_exceptions=True)

    async def _attempt(self) -> Verdict | None:
        lease, fleet = self._lease, self._tools.fleet
        try:
            return await self._candidate()
        except StoppedOnRequest:
            reason = self._leave.result() if self._leave.done() else STOPPED_THERE
            log.info("round-handed-back", round=str(lease.round_id), fence=lease.fence, reason=reason)
            await persistently("hand-back", partial(fleet.hand_back, lease, reason, self._meter.used()))
        except AttemptFailed as error:
            log.warning("attempt-failed", round=str(lease.round_id), rule=error.rule, reason=str(error))
            fail = partial(fleet.fail, lease, error.rule, str(error), self._meter.used(), retryable=error.retryable)
            await persistently("fail", fail)
        except (LeaseLost, RegistryRefused):
            raise
        except Exception as error:
            log.exception("attempt-crashed", round=str(lease.round_id))
            failed = explained(error, "the worker could not carry the round out:")
            fail = partial(fleet.fail, lease, failed.rule, failed.reason, self._meter.used(), retryable=True)
            await persistently("fail", fail)
        return None

    async def _candidate(self) -> Verdict:
        lease, tools = self._lease, self._tools
        with tracer.start_as_current_span("prepare"):
            prepare = partial(tools.preparation.prepare, lease, self._folder)
            manifests = await persistently("prepare", prepare)
        self._check_stop()
        with tracer.start_as_current_span("train") as span:
            span.set_attribute("potluck.total_steps", lease.total_steps)
            await self._train()
        with tracer.start_as_current_span("verify"):
            verified = await self._verify()
        self._check_stop()
        with tracer.start_as_current_span("submit"):
            return await self._submit(manifests, verified)

    async def _train(self) -> None:
        engine = await self._tools.nursery.take(ENGINE)
        try:
            stopper = asyncio.create_task(self._stop_engine(engine))
            try:
                async with aclosing(engine.work(self._folder)) as messages:
                    async for message in messages:
                        if await self._heard(message):
                            return
            finally:
                stopper.cancel()
            self._check_stop()
            raise engine.failure()
        finally:
            await engine.kill()

    async def _heard(self, message: Message) -> bool:
        """Act on one message of the engine; true when training is done."""
        lease = self._lease
        match message:
            case Started():
                self._device = message.device
                self._meter.trains_on(message.device)
                log.info("training-started", round=str(lease.round_id), step=message.step, device=message.device)
            case Progress():
                self._courier.report(_report(message))
                if message.step >= VERIFY_AHEAD * lease.total_steps:
                    await self._tools.nursery.prepare(VERIFY)
            case Saved():
                self._courier.saved(self._folder / message.path, message.step)
            case Stopped():
                await self._courier.flush()
                raise StoppedOnRequest
            case Failed():
                if message.retryable:
                    # The next attempt goes on from the last good checkpoint: it may still be on its way.
                    await self._courier.flush()
                raise AttemptFailed(message.rule, message.reason, retryable=message.retryable)
            case Done():
                return True
        return False

    async def _stop_engine(self, engine: Child) -> None:
        await asyncio.shield(self._leave)
        engine.terminate()
        await asyncio.sleep(self._tools.stop_seconds)
        log.warning("engine-does-not-stop", pid=engine.pid)
        await engine.kill()

    async def _verify(self) -> Verified:
        child = await self._tools.nursery.take(VERIFY)
        try:
            async with aclosing(child.work(self._folder)) as messages:
                async for message in messages:
                    if isinstance(message, Verified):
                        return message
                    if isinstance(message, Failed):
                        if message.rule != CRASHED:  # of this machine, not of the model
                            raise AttemptFailed(message.rule, message.reason, retryable=message.retryable)
                        # It does not load: that is the answer, and the growth policy shows it.
                        sentence = f"The model does not load in a fresh process: {message.reason}"
                        return Verified(passed=False, sentence=sentence, numbers={})
            raise child.failure()
        finally:
            await child.kill()

    async def _submit(self, manifests: dict[str, DatasetManifest], verified: Verified) -> Verdict:
        lease, tools = self._lease, self._tools
        await self._courier.flush()
        ran = Ran(tools.fleet.hardware(self._device), self._meter.cost())
        store = partial(store_candidate, tools.blobs, lease, self._folder, manifests, verified, ran)
        reference = await persistently("store-candidate", store)
        return await persistently("submit", partial(tools.fleet.submit, lease, reference))

    async def _beat(self) -> None:
        """Renew the lease for ever. Raises LeaseLost."""
        ttl = self._lease.ttl_seconds
        while True:
            await asyncio.sleep(ttl / 3)
            try:
                beat = await self._tools.fleet.heartbeat(self._lease, self._meter.used())
            except RegistryAway as error:
                # Training goes on: if the lease runs out meanwhile, the fence says so once it is back.
                log.warning("heartbeat-unanswered", error=str(error))
            else:
                ttl = beat.ttl_seconds or ttl
                if beat.hand_back:
                    self._give_up(PAUSED)

    async def _leave_on_stop(self) -> None:
        await self._stop.wait()
        self._give_up(SHUTTING_DOWN)

    def _give_up(self, reason: str) -> None:
        if not self._leave.done():
            self._leave.set_result(reason)

    def _check_stop(self) -> None:
        if self._leave.done():
            raise StoppedOnRequest


def _report(progress: Progress) -> Report:
    return Report(
        step=progress.step,
        learning_rate=progress.learning_rate,
        branches=progress.branches,
        frames_per_second=progress.frames_per_second,
        eta_seconds=progress.eta_seconds,
    )
