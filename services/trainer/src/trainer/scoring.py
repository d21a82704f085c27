"""What an idle worker does: score a published model on the standard dataset, until a round waits."""

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path

from contracts.artifacts import DatasetManifest, ModelManifest
from contracts.base import BranchError
from contracts.standard import StandardBranch, StandardDataset
from frames.store import DATA_FILE
from kit.blobs import BlobCorrupt, BlobMissing
from kit.logs import get_logger
from pydantic import ValidationError

from trainer.cache import Cache
from trainer.child import AttemptFailed, explained
from trainer.courier import persistently
from trainer.domain import LeaseLost, NoWork, RegistryAway, RegistryRefused, ScoringLease
from trainer.folders import attempt_folder
from trainer.preparation import failed_frames
from trainer.process import SCORE, Nursery
from trainer.scoring_service import ScoringService
from trainer.work import SCORING_FILE, Failed, Scored, ScoringWork, StandardWork

log = get_logger(__name__)

RELEASE_FILE = Path("model.pt")
BEAT_SECONDS = 2.0
"""Much shorter than the lease lasts: a round that waits must not wait for this."""
ASK_AGAIN_SECONDS = 60.0
"""After a registry that does not answer, or gives nothing to score."""
LEAVES = "a round waits, or growth is paused"
STOPS = "the worker is shutting down"


class Scorer:
    """Scores one model at a time."""

    def __init__(self, service: ScoringService, cache: Cache, nursery: Nursery, folder: Path) -> None:
        self._service = service
        self._cache = cache
        self._nursery = nursery
        self._folder = folder
        self._ask_at = 0.0

    async def score_one(self, stop: asyncio.Event) -> bool:
        """Score a model, if there is one; false when there was nothing to do. Raises nothing that a worker expects."""
        clock = asyncio.get_running_loop().time
        if clock() < self._ask_at:
            return False
        try:
            answer = await self._service.lease()
        except (RegistryAway, RegistryRefused, LeaseLost) as error:
            self._ask_at = clock() + ASK_AGAIN_SECONDS
            log.info("nothing-to-score", error=str(error))
            return False
        if isinstance(answer, NoWork):
            self._ask_at = clock() + answer.retry_after_seconds
            return False
        log.info("scoring-leased", version=answer.version, fence=answer.fence)
        try:
            with attempt_folder(self._folder, f"score-{answer.version}-{answer.fence}") as folder:
                await self._carry_out(answer, folder, stop)
        except (LeaseLost, RegistryRefused) as error:
            log.warning("scoring-lost", version=answer.version, reason=str(error))
        return True

    async def _carry_out(self, lease: ScoringLease, folder: Path, stop: asyncio.Event) -> None:
        """To the errors, or out of the way."""
        work = asyncio.create_task(self._errors(lease, folder))
        beat = asyncio.create_task(self._beat_until_told_to_leave(lease))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, beat, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await persistently("scores", partial(self._service.submit, lease, work.result()))
                log.info("scored", version=lease.version)
                return
            if beat.done():
                beat.result()
            reason = LEAVES if beat.done() else STOPS
            await persistently("give-up", partial(self._service.give_up, lease, "", reason))
        except (LeaseLost, RegistryRefused):
            raise
        except Exception as error:  # whatever it is, the worker goes on and the registry hears of it
            failed = explained(error, "the worker could not score the model:")
            log.warning("scoring-failed", version=lease.version, rule=failed.rule, reason=failed.reason)
            await persistently("give-up", partial(self._service.give_up, lease, failed.rule, failed.reason))
        finally:
            for task in (work, beat, stopping):
                task.cancel()
            await asyncio.gather(work, beat, stopping, return_exceptions=True)

    async def _beat_until_told_to_leave(self, lease: ScoringLease) -> None:
        """Raises LeaseLost."""
        while True:
            await asyncio.sleep(min(BEAT_SECONDS, lease.ttl_seconds / 3))
            try:
                if await self._service.beat(lease):
                    return
            except RegistryAway as error:
                log.warning("heartbeat-unanswered", error=str(error))

    async def _errors(self, lease: ScoringLease, folder: Path) -> tuple[BranchError, ...]:
        """Raises AttemptFailed."""
        try:
            await persistently("prepare", partial(self._prepare, lease, folder))
        except (BlobMissing, BlobCorrupt) as error:
            raise AttemptFailed("data-unreadable", f"object storage: {error}", retryable=True) from error
        except ValidationError as error:
            reason = f"a file of this scoring is malformed: {error}"
            raise AttemptFailed("data-unreadable", reason, retryable=False) from error
        child = await self._nursery.take(SCORE)
        try:
            async with aclosing(child.work(folder)) as messages:
                async for message in messages:
                    if isinstance(message, Scored):
                        return message.errors
                    if isinstance(message, Failed):
                        raise AttemptFailed(message.rule, message.reason, retryable=message.retryable)
            raise child.failure()
        finally:
            await child.kill()

    async def _prepare(self, lease: ScoringLease, folder: Path) -> None:
        model = ModelManifest.model_validate_json(await self._cache.read(lease.model_manifest))
        standard = StandardDataset.model_validate_json(await self._cache.read(lease.standard))
        await self._cache.place(model.release, folder / RELEASE_FILE)
        own = {one.name: one.own for one in lease.branches}
        work = ScoringWork(
            release=RELEASE_FILE,
            branches=tuple(
                [await self._branch(one, own[one.branch], folder) for one in standard.branches if one.branch in own]
            ),
        )
        (folder / SCORING_FILE).write_text(work.model_dump_json())

    async def _branch(self, branch: StandardBranch, own: str | None, folder: Path) -> StandardWork:
        dataset = DatasetManifest.model_validate_json(await self._cache.read(branch.dataset_manifest))
        place = Path("data", branch.branch)
        await self._cache.place(dataset.held_out, folder / place / "held-out.lmdb" / DATA_FILE)
        train: Path | None = None
        failed: tuple[int, ...] = ()
        if own is None and dataset.train is not None:
            train = place / "train.lmdb"
            await self._cache.place(dataset.train, folder / train / DATA_FILE)
            failed = (await failed_frames(self._cache, branch.metric_report))["train"]
        return StandardWork(
            name=branch.branch,
            own=own,
            held_out=place / "held-out.lmdb",
            frames=branch.frames,
            train=train,
            left_out_train=failed,
        )
