"""Use cases of scores: a new standard dataset is released, versions get their scores on it, idle workers help.

Every method runs inside its caller's transaction; what it emits commits with what it writes.
"""

from collections.abc import Mapping

from contracts.base import BlobRef, BranchError
from contracts.events import ModelRescored, StandardReleased
from contracts.standard import StandardDataset, StandardScore
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection

from registry import ports
from registry.domain.policy import GrowthPolicy
from registry.domain.rounds import InvalidRequest, Model, StaleFence, UnknownModel
from registry.domain.scores import Scoring, ScoringBranch, ScoringLease
from registry.domain.standard import StandardError, changes, scored

log = get_logger(__name__)


class Scorings:
    """Who is scored on what."""

    def __init__(self, store: ports.Standards, policy: GrowthPolicy) -> None:
        self._store = store
        self._policy = policy

    async def release(self, conn: Connection, standard: StandardDataset, content: BlobRef) -> None:
        """A new version of the standard dataset, or the one that there is already: then nothing happens."""
        newest = await self._store.newest_standard(conn)
        before = newest.standard if newest else None
        if before is not None and before.number >= standard.number:
            return
        await self._store.add_standard(conn, standard, content)
        added, removed = changes(before, standard)
        released = StandardReleased(
            number=standard.number,
            model_version=standard.model_version,
            content=content,
            branches=len(standard.branches),
            frames=sum(len(one.frames) for one in standard.branches),
            added_frames=added,
            removed_frames=removed,
        )
        await emit(conn, released)
        log.info("standard-released", number=standard.number, added=added, removed=removed)

    async def measured(
        self, conn: Connection, version: str, standard: StandardDataset, errors: Mapping[str, StandardError]
    ) -> StandardScore | None:
        """Errors of a version are known now; its score, when none is missing. Nothing is told."""
        await self._store.add_standard_errors(conn, version, standard, errors)
        known = await self._store.standard_errors(conn, version, standard.number)
        score = scored(standard, known)
        if score is not None:
            await self._store.add_standard_score(conn, version, score)
        return score

    async def rescore(self, conn: Connection, standard: StandardDataset) -> None:
        """Score every version again, as far as its errors are known; the others wait for a worker."""
        for version in await self._store.unscored_models(conn, standard.number):
            score = await self.measured(conn, version, standard, {})
            if score is None:
                await self._store.queue_scoring(conn, version, standard.number)
            else:
                await emit(conn, ModelRescored(version=version, standard=score))

    async def lease(self, conn: Connection, worker: str) -> ScoringLease | None:
        """A model for an idle worker; none while a round waits or growth is paused."""
        ttl = self._policy.lease_ttl_seconds
        scoring = await self._store.lease_scoring(conn, worker, ttl, self._policy.max_attempts)
        newest = await self._store.newest_standard(conn) if scoring else None
        if scoring is None or newest is None:
            return None
        model = await self._model(conn, scoring)
        log.info("scoring-leased", version=scoring.version, fence=scoring.fence, worker=worker)
        return ScoringLease(
            scoring=scoring,
            model_manifest=model.manifest,
            standard=newest.content,
            branches=await self._missing(conn, model, newest.standard),
            ttl_seconds=ttl,
        )

    async def beat(self, conn: Connection, version: str, fence: int) -> tuple[float, bool]:
        """Renew the lease; how long it lasts, and whether the worker must leave. Raises StaleFence."""
        await self._hold(conn, version, fence)
        leave = await self._store.round_waits(conn) or await self._store.pause_reason(conn) is not None
        return self._policy.lease_ttl_seconds, leave

    async def submit(self, conn: Connection, version: str, fence: int, errors: tuple[BranchError, ...]) -> None:
        """The errors that the lease asked for. Repeating it changes nothing. Raises StaleFence, InvalidRequest."""
        done = await self._store.scoring(conn, version)
        if done is not None and done.done and done.fence == fence:
            return
        scoring = await self._hold(conn, version, fence)
        newest = await self._store.newest_standard(conn)
        if newest is None or newest.standard.number != scoring.standard:
            raise _stale(version, fence, "the standard dataset has a newer version")
        wanted = {one.name: one for one in await self._missing(conn, await self._model(conn, scoring), newest.standard)}
        if sorted(one.branch for one in errors) != sorted(wanted):
            named = ", ".join(sorted(wanted))
            raise InvalidRequest(f"errors on {named} were asked for, each once; the answer names other branches")
        told = {one.branch: StandardError.of(one, zero_shot=wanted[one.branch].own is None) for one in errors}
        score = await self.measured(conn, version, newest.standard, told)
        if score is None:
            raise RuntimeError(f"model {version} has no score on S{scoring.standard} with every error known")
        await self._store.end_scoring(conn, version)
        await emit(conn, ModelRescored(version=version, standard=score))
        log.info("model-rescored", version=version, standard=scoring.standard, score=score.score)

    async def give_up(self, conn: Connection, version: str, fence: int, rule: str, reason: str) -> None:
        """No errors: without a rule the worker left in good order, and no failure is counted. Raises StaleFence."""
        scoring = await self._hold(conn, version, fence)
        failures = scoring.failures + bool(rule)
        words = f"{rule}: {reason}" if rule else reason
        await self._store.offer_scoring_again(conn, version, failures, words)
        log.info("scoring-given-up", version=version, fence=fence, rule=rule, reason=reason, failures=failures)

    async def _model(self, conn: Connection, scoring: Scoring) -> Model:
        model = await self._store.model(conn, scoring.version)
        if model is None:
            raise UnknownModel(f"there is no model {scoring.version!r}")
        return model

    async def _missing(self, conn: Connection, model: Model, standard: StandardDataset) -> tuple[ScoringBranch, ...]:
        """Branches of the standard dataset on which nobody has measured the model."""
        known = await self._store.standard_errors(conn, model.version, standard.number)
        own = {one.branch.member.ref: one.branch.name for one in model.branches}
        return tuple(
            ScoringBranch(one.branch, own.get(one.dataset)) for one in standard.branches if one.dataset not in known
        )

    async def _hold(self, conn: Connection, version: str, fence: int) -> Scoring:
        held = await self._store.hold_scoring(conn, version, fence, self._policy.lease_ttl_seconds)
        if held is not None:
            return held
        if await self._store.scoring(conn, version) is None:
            raise UnknownModel(f"model {version!r} is not being scored")
        raise _stale(version, fence, "somebody else scores it, or it is done")


def _stale(version: str, fence: int, why: str) -> StaleFence:
    return StaleFence(f"the scoring of model {version} is not held with fence {fence}: {why}; drop it")
