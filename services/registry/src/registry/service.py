"""Use cases of rounds: datasets join, rounds are planned, leased, reported on, handed back, lost and given up.

Every method runs inside its caller's transaction; what it emits commits with what it writes.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from contracts.base import BranchError
from contracts.events import (
    DatasetMetricPassed,
    TrainingFailed,
    TrainingProgress,
    TrainingQueued,
    TrainingStarted,
)
from kit.logs import get_logger
from kit.queries import Connection

from registry import ports
from registry.announcing import announce
from registry.domain import (
    LATEST,
    NOT_FINITE,
    Beat,
    Branch,
    DatasetState,
    InvalidRequest,
    Lease,
    Member,
    Model,
    Round,
    RoundPlan,
    RoundState,
    StoredCheckpoint,
    UnknownRound,
    may_retry,
    settled,
    stale,
)
from registry.inquiry_steps import ended_without_model, next_step, planned
from registry.planning import is_due, plan_round
from registry.policy import GrowthPolicy
from registry.publication import check_belongs

log = get_logger(__name__)

LEASE_LOST = "lease-lost"
HANDED_BACK = "handed-back"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a worker reports while it trains."""

    step: int
    learning_rate: float
    branches: tuple[BranchError, ...]
    frames_per_second: float
    eta_seconds: float


async def hold(store: ports.Rounds, conn: Connection, round_id: UUID, fence: int, policy: GrowthPolicy) -> Round:
    """The fence of every late write. Raises StaleFence or UnknownRound."""
    held = await store.hold(conn, round_id, fence, policy.lease_ttl_seconds)
    if held is not None:
        return held
    raise stale(await known_round(store, conn, round_id), fence)


async def known_round(store: ports.Rounds, conn: Connection, round_id: UUID) -> Round:
    """Raises UnknownRound."""
    round_ = await store.round(conn, round_id)
    if round_ is None:
        raise UnknownRound(f"there is no round {round_id}")
    return round_


def with_datasets(branches: Sequence[Branch], errors: Sequence[BranchError]) -> tuple[BranchError, ...]:
    """The reported errors with their datasets. For `training.*` events, which outsiders do not hear.

    Raises InvalidRequest for a branch that the round does not have.
    """
    refs = {branch.name: branch.member.ref for branch in branches}
    for error in errors:
        if error.branch not in refs:
            raise InvalidRequest(f"branch {error.branch!r} is not part of this round")
    return tuple(error.model_copy(update={"dataset": refs[error.branch]}) for error in errors)


def check_step(step: int, round_: Round) -> None:
    """Raises InvalidRequest."""
    if step > round_.total_steps:
        raise InvalidRequest(f"step {step} is beyond the round's {round_.total_steps} steps")


class Rounds:
    """Everything that happens to a round before its candidate is judged."""

    def __init__(self, store: ports.Plans, policy: GrowthPolicy) -> None:
        self._store = store
        self._policy = policy

    async def join(
        self, conn: Connection, event: DatasetMetricPassed, train_frames: int, traceparent: str | None
    ) -> None:
        """The dataset passed: it waits for a round. Known datasets stay as they are.

        What its contributor said of it meanwhile counts: withdrawn it does not wait, made public it has that credit.
        """
        # A withdrawal that comes at the same moment either finds the dataset or is found here.
        await self._store.lock_planning(conn)
        if not await self._store.add_dataset(conn, event, train_frames, traceparent):
            return
        withdrawn, credit = await self._store.contributors_words(conn, event.dataset)
        if credit is not None:
            await self._store.set_credit(conn, event.dataset, credit)
        if withdrawn is not None:
            await self._store.withdraw(conn, event.dataset, withdrawn)
            log.info("dataset-withdrawn-before", dataset=str(event.dataset))
            return
        log.info("dataset-waits", dataset=str(event.dataset), train_frames=train_frames)

    async def plan_if_due(self, conn: Connection) -> RoundPlan | None:
        """Plan a round when none is open, growth is not paused, and an inquiry asks for one or enough datasets wait."""
        await self._store.lock_planning(conn)
        if await self._store.has_open_round(conn) or await self._store.pause_reason(conn) is not None:
            return None
        step = await next_step(self._store, conn)
        if step is not None:
            plan = await self._plan(conn, await self._parent(conn), step.members, most=len(step.members))
            await planned(self._store, conn, step, plan)
            return plan
        waiting = await self._store.waiting(conn)
        if not waiting.members:
            return None
        parent = await self._parent(conn)
        first = parent is None or all(one.branch.member.withdrawn for one in parent.branches)
        if not is_due(waiting, first, self._policy):
            return None
        return await self._plan(conn, parent, waiting.members)

    async def _parent(self, conn: Connection) -> Model | None:
        version = await self._store.resolve(conn, LATEST)
        return None if version is None else await self._store.model(conn, version)

    async def _plan(
        self, conn: Connection, parent: Model | None, members: Sequence[Member], most: int | None = None
    ) -> RoundPlan:
        plan = plan_round(
            round_id=uuid4(),
            parent_version=parent.version if parent else None,
            old=[one.branch for one in parent.branches] if parent else [],
            waiting=members,
            policy=self._policy,
            private_tag=lambda: secrets.token_hex(4),
            most=most,
        )
        await self._store.add_round(conn, plan)
        await self._store.set_new_datasets(conn, plan.round_id, DatasetState.TRAINING)
        new = plan.new_branches
        queued = TrainingQueued(
            round_id=plan.round_id,
            datasets=tuple(branch.member.ref for branch in new),
            branches={str(branch.member.ref): branch.name for branch in new},
            parent_version=plan.parent_version,
            preset=plan.preset,
            total_steps=plan.total_steps,
        )
        await announce(conn, plan, queued)
        log.info("round-planned", round=str(plan.round_id), parent=plan.parent_version, new=len(new))
        return plan

    async def lease(self, conn: Connection, worker: str, presets: Sequence[str]) -> Lease | None:
        """Offer the waiting round to a worker that can run its preset."""
        ttl = self._policy.lease_ttl_seconds
        round_ = await self._store.lease(conn, worker, presets, ttl)
        if round_ is None:
            return None
        parent = None
        if round_.parent_version is not None:
            parent = await self._store.model(conn, round_.parent_version)
        started = TrainingStarted(
            round_id=round_.round_id, attempt=round_.fence, worker=worker, resumed_from_step=round_.step
        )
        await announce(conn, round_, started)
        log.info("round-leased", round=str(round_.round_id), fence=round_.fence, worker=worker)
        branches = await self._store.branches(conn, round_.round_id)
        kept = {branch.name for branch in branches if not branch.is_new}
        return Lease(
            round=round_,
            branches=branches,
            parent_manifest=parent.manifest if parent else None,
            left_out_branches=tuple(
                one.branch.name for one in (parent.branches if parent else ()) if one.branch.name not in kept
            ),
            resume_from=await self._store.newest_checkpoint(conn, round_.round_id),
            ttl_seconds=ttl,
        )

    async def heartbeat(self, conn: Connection, round_id: UUID, fence: int) -> Beat:
        """Renew the lease, and tell the worker when it must stop."""
        ttl = self._policy.lease_ttl_seconds
        if await self._store.hold(conn, round_id, fence, ttl) is not None:
            return Beat(ttl, hand_back=await self._store.pause_reason(conn) is not None)
        round_ = await known_round(self._store, conn, round_id)
        if round_.state is RoundState.CANCELLED and round_.fence == fence:
            return Beat(ttl, cancelled=True)
        # A beat may cross the answer to this worker's own submission: that is not a lost lease.
        if settled(round_, fence) is None:
            raise stale(round_, fence)
        return Beat(ttl)

    async def report(self, conn: Connection, round_id: UUID, fence: int, progress: Progress) -> None:
        """Tell how training goes. A report that is repeated for the same step is told once."""
        round_ = await hold(self._store, conn, round_id, fence, self._policy)
        check_step(progress.step, round_)
        branches = await self._store.branches(conn, round_id)
        event = TrainingProgress(
            round_id=round_id,
            attempt=fence,
            step=progress.step,
            total_steps=round_.total_steps,
            learning_rate=progress.learning_rate,
            branches=with_datasets(branches, progress.branches),
            frames_per_second=progress.frames_per_second,
            eta_seconds=progress.eta_seconds,
        )
        if progress.step == round_.reported_step:
            return
        await self._store.set_step(conn, round_id, progress.step)
        await announce(conn, round_, event)

    async def checkpoint(self, conn: Connection, round_id: UUID, fence: int, checkpoint: StoredCheckpoint) -> None:
        """A checkpoint is stored: a successor resumes from the newest."""
        round_ = await hold(self._store, conn, round_id, fence, self._policy)
        check_step(checkpoint.step, round_)
        check_belongs(checkpoint.blob, round_)
        await self._store.add_checkpoint(conn, round_id, fence, checkpoint)
        log.info("checkpoint-stored", round=str(round_id), fence=fence, step=checkpoint.step)

    async def hand_back(self, conn: Connection, round_id: UUID, fence: int, reason: str) -> None:
        """The worker leaves in good order: the round waits again, and no failure is counted."""
        round_ = await hold(self._store, conn, round_id, fence, self._policy)
        rule, reason = HANDED_BACK, reason or "the worker was asked to stop"
        paused = await self._store.pause_reason(conn)
        if paused is not None:
            rule, reason = PAUSED, f"growth is paused ({paused}); the round goes on from its newest checkpoint later"
        await self._store.offer_again(conn, round_, round_.failures, reason)
        ended = TrainingFailed(round_id=round_id, attempt=fence, rule=rule, reason=reason, will_retry=True)
        await announce(conn, round_, ended)
        log.info("round-handed-back", round=str(round_id), fence=fence, reason=reason)

    async def fail(self, conn: Connection, round_id: UUID, fence: int, rule: str, reason: str, retryable: bool) -> bool:
        """The worker says that this attempt cannot go on. True: the round is offered again."""
        round_ = await hold(self._store, conn, round_id, fence, self._policy)
        return await self._attempt_failed(conn, round_, rule, reason, retryable)

    async def sweep(self, conn: Connection) -> Round | None:
        """Take one round away from a worker that has fallen silent. None: no lease has expired."""
        round_ = await self._store.take_lost(conn)
        if round_ is not None:
            reason = f"worker {round_.worker} was silent for more than {self._policy.lease_ttl_seconds:g} s"
            await self._attempt_failed(conn, round_, LEASE_LOST, reason, retryable=True)
        return round_

    async def _attempt_failed(self, conn: Connection, round_: Round, rule: str, reason: str, retryable: bool) -> bool:
        """Offer the round again, or give it up and set its new datasets aside, so that they block nobody."""
        # A worker that died after it had stored new work did not die of the round: counting starts again.
        advanced = await self._store.stored_checkpoint(conn, round_.round_id, round_.fence)
        failures = 1 if advanced else round_.failures + 1
        divergences = round_.divergences + (rule == NOT_FINITE)
        will_retry = may_retry(failures, self._policy.max_attempts, retryable, divergences)
        if will_retry:
            await self._store.offer_again(conn, round_, failures, reason, divergences)
        else:
            await self._store.end_round(conn, round_, RoundState.FAILED, reason=reason, failures=failures)
            await ended_without_model(self._store, conn, round_, DatasetState.FAILED, reason)
        event = TrainingFailed(
            round_id=round_.round_id, attempt=round_.fence, rule=rule, reason=reason, will_retry=will_retry
        )
        await announce(conn, round_, event)
        log.warning(
            "attempt-failed",
            round=str(round_.round_id),
            fence=round_.fence,
            rule=rule,
            reason=reason,
            will_retry=will_retry,
        )
        return will_retry
