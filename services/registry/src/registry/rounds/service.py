"""Use cases of rounds: datasets join, rounds are planned, leased, reported on, handed back, lost and given up.

Every method runs inside its caller's transaction; what it emits commits with what it writes.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from contracts.base import BranchError, DatasetRef
from contracts.events import (
    DatasetMetricPassed,
    TrainingFailed,
    TrainingHeldUp,
    TrainingProgress,
    TrainingQueued,
    TrainingStarted,
)
from kit.logs import get_logger
from kit.queries import Connection

from registry import ports
from registry.domain.planning import is_due, plan_round
from registry.domain.policy import GrowthPolicy
from registry.domain.publication import check_belongs
from registry.domain.rounds import (
    LATEST,
    LEASE_LOST,
    NOT_FINITE,
    OUTAGES,
    Beat,
    Branch,
    DatasetState,
    InvalidRequest,
    Lease,
    Member,
    Model,
    NoOffer,
    Round,
    RoundPlan,
    RoundState,
    StoredCheckpoint,
    UnknownRound,
    Usage,
    may_retry,
    settled,
    stale,
)
from registry.domain.workers import SHORTEST_LIFE_SECONDS, Announcement, Demand, demand, refusal, waits_for
from registry.rounds.announcing import announce
from registry.rounds.inquiry_steps import ended_without_model, interrupted, next_step, planned, step_of
from registry.rounds.presets import NOTHING, Presets

log = get_logger(__name__)

HANDED_BACK = "handed-back"
PAUSED = "paused"
TEST_FRAMES = "test-frames"


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

    def __init__(self, store: ports.Plans, policy: GrowthPolicy, presets: Presets | None = None) -> None:
        self._store = store
        self._policy = policy
        self._presets = presets or Presets()

    async def join(
        self,
        conn: Connection,
        event: DatasetMetricPassed,
        train_frames: int,
        traceparent: str | None,
        content_sha256: str | None = None,
    ) -> None:
        """The dataset passed: it waits for a round. Known datasets stay as they are.

        What its contributor said of it meanwhile counts: withdrawn it does not wait, made public it has that credit.
        """
        # A withdrawal that comes at the same moment either finds the dataset or is found here.
        await self._store.lock_planning(conn)
        if not await self._store.add_dataset(conn, event, train_frames, traceparent, content_sha256):
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
        """Plan a round when none is open, growth is not paused, and an inquiry asks for one or enough datasets wait.

        Datasets that were not compared with the standard dataset yet are waited for.
        """
        await self._store.lock_planning(conn)
        if await self._store.has_open_round(conn) or await self._store.pause_reason(conn) is not None:
            return None
        step = await next_step(self._store, conn)
        parent = await self._parent(conn)
        members = step.members if step else await self._due(conn, parent)
        tests = await self._test_frames(conn, parent, members) if members else None
        if tests is None:
            return None
        if refused := next((one for one in members if len(tests[one.ref]) >= one.train_frames), None):
            await self._refuse(conn, parent, refused)
            return None
        plan = await self._plan(conn, parent, members, tests, most=len(members) if step else None)
        if step is not None:
            await planned(self._store, conn, step, plan)
        return plan

    async def _due(self, conn: Connection, parent: Model | None) -> tuple[Member, ...]:
        """Who waits, if it is time for a round."""
        waiting = await self._store.waiting(conn)
        first = parent is None or all(one.branch.member.withdrawn for one in parent.branches)
        return waiting.members if waiting.members and is_due(waiting, first, self._policy) else ()

    async def _test_frames(
        self, conn: Connection, parent: Model | None, members: Sequence[Member]
    ) -> dict[DatasetRef, tuple[int, ...]] | None:
        """Training frames that are test frames of the standard dataset; none while a dataset was not compared."""
        old = [one.branch.member for one in parent.branches if not one.branch.member.withdrawn] if parent else []
        refs = [one.ref for one in (*old, *members)]
        number = await self._store.standard_number(conn)
        if number == 0:
            return dict.fromkeys(refs, ())
        found = await self._store.overlaps(conn, number)
        if missing := [ref for ref in refs if ref not in found]:
            log.info("planning-waits-for-hashes", datasets=len(missing))
            return None
        return {ref: found[ref] for ref in refs}

    async def _refuse(self, conn: Connection, parent: Model | None, member: Member) -> None:
        """A round of its own that ends before it begins: nothing of the dataset is left to train on."""
        plan = await self._plan(conn, parent, [member], {}, most=1)
        round_ = await known_round(self._store, conn, plan.round_id)
        if member.train_frames == 0:
            reason = (
                "All of its frames test the model, and none is left to train on. Upload a version with more frames."
            )
        else:
            reason = (
                f"None of the {member.train_frames} training frames can be trained on: all of them test the model. "
                "Upload a version with other structures."
            )
        await self._store.end_round(conn, round_, RoundState.FAILED, reason=reason)
        await ended_without_model(self._store, conn, round_, DatasetState.FAILED, reason)
        failed = TrainingFailed(round_id=plan.round_id, attempt=1, rule=TEST_FRAMES, reason=reason, will_retry=False)
        await announce(conn, round_, failed)
        log.warning("dataset-refused", dataset=str(member.ref), reason=reason)

    async def _parent(self, conn: Connection) -> Model | None:
        version = await self._store.resolve(conn, LATEST)
        return None if version is None else await self._store.model(conn, version)

    async def _plan(
        self,
        conn: Connection,
        parent: Model | None,
        members: Sequence[Member],
        tests: Mapping[DatasetRef, tuple[int, ...]],
        most: int | None = None,
    ) -> RoundPlan:
        plan = plan_round(
            round_id=uuid4(),
            parent_version=parent.version if parent else None,
            old=[one.branch for one in parent.branches] if parent else [],
            waiting=members,
            policy=self._policy,
            private_tag=lambda: secrets.token_hex(4),
            most=most,
            test_frames=tests,
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

    async def lease(self, conn: Connection, worker: Announcement) -> Lease | NoOffer:
        """Keep what the worker announces, and offer it the waiting round if it can run it."""
        await self._store.announce(conn, worker)
        waiting = await self._store.waiting_round(conn)
        if waiting is None:
            return NoOffer()
        reason = refusal(worker, await self._demand(conn, waiting))
        await self._store.set_refusal(conn, worker.worker_id, reason)
        if reason is not None:
            return NoOffer(reason)
        ttl = self._policy.lease_ttl_seconds
        round_ = await self._store.lease(conn, waiting.round_id, worker.worker_id, ttl)
        return NoOffer() if round_ is None else await self._leased(conn, round_, worker.worker_id)

    async def _leased(self, conn: Connection, round_: Round, worker: str) -> Lease:
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
        standard = await self._store.newest_standard(conn)
        return Lease(
            round=round_,
            branches=branches,
            parent_manifest=parent.manifest if parent else None,
            left_out_branches=tuple(
                one.branch.name for one in (parent.branches if parent else ()) if one.branch.name not in kept
            ),
            resume_from=await self._store.newest_checkpoint(conn, round_.round_id),
            ttl_seconds=self._policy.lease_ttl_seconds,
            standard=standard.content if standard else None,
        )

    async def tell_if_held_up(self, conn: Connection) -> None:
        """Say so, once, when no live worker can run the round that waits, instead of waiting in silence."""
        round_ = await self._store.waiting_round(conn)
        if round_ is None:
            return
        live = await self._store.workers(conn, self.life_seconds, everyone=False)
        reason = waits_for(await self._demand(conn, round_), [one.announced for one in live])
        if reason == round_.held_up:
            return
        await self._store.set_held_up(conn, round_, reason)
        if reason is not None:
            held_up = TrainingHeldUp(round_id=round_.round_id, attempt=round_.fence + 1, reason=reason)
            await announce(conn, round_, held_up)
            log.warning("round-held-up", round=str(round_.round_id), reason=reason)

    @property
    def life_seconds(self) -> float:
        """A worker that was not heard of for longer does not count as live."""
        return max(self._policy.lease_ttl_seconds, SHORTEST_LIFE_SECONDS)

    async def _demand(self, conn: Connection, round_: Round) -> Demand:
        """What a round asks of a worker. A preset file that is missing or wrong here asks for nothing more."""
        parent = round_.parent_version
        try:
            needs = self._presets.needs(round_.preset)
        except ValueError as error:
            log.error("preset-unreadable", preset=round_.preset, error=str(error))
            needs = NOTHING
        version = None if parent is None else await self._store.deepmd_version(conn, parent)
        return demand(round_.preset, needs, parent, version)

    async def heartbeat(self, conn: Connection, round_id: UUID, fence: int, usage: Usage | None = None) -> Beat:
        """Renew the lease, and tell the worker when it must stop."""
        ttl = self._policy.lease_ttl_seconds
        held = await self._store.hold(conn, round_id, fence, ttl)
        if held is not None:
            await self._store.heard_of(conn, held.worker or "")
            await self._used(conn, round_id, fence, usage)
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

    async def hand_back(
        self, conn: Connection, round_id: UUID, fence: int, reason: str, usage: Usage | None = None
    ) -> None:
        """The worker leaves in good order: the round waits again, and no failure is counted."""
        round_ = await hold(self._store, conn, round_id, fence, self._policy)
        await self._used(conn, round_id, fence, usage)
        rule, reason = HANDED_BACK, reason or "the worker was asked to stop"
        paused = await self._store.pause_reason(conn)
        if paused is not None:
            rule, reason = PAUSED, f"growth is paused ({paused}); the round goes on from its newest checkpoint later"
        await self._store.offer_again(conn, round_, round_.failures, reason)
        ended = TrainingFailed(round_id=round_id, attempt=fence, rule=rule, reason=reason, will_retry=True)
        await announce(conn, round_, ended)
        log.info("round-handed-back", round=str(round_id), fence=fence, reason=reason)

    async def fail(
        self,
        conn: Connection,
        round_id: UUID,
        fence: int,
        rule: str,
        reason: str,
        retryable: bool,
        usage: Usage | None = None,
    ) -> bool:
        """The worker says that this attempt cannot go on. True: the round is offered again."""
        round_ = await hold(self._store, conn, round_id, fence, self._policy)
        await self._used(conn, round_id, fence, usage)
        return await self._attempt_failed(conn, round_, rule, reason, retryable)

    async def sweep(self, conn: Connection) -> Round | None:
        """Take one round away from a worker that has fallen silent. None: no lease has expired."""
        round_ = await self._store.take_lost(conn)
        if round_ is not None:
            reason = f"worker {round_.worker} was silent for more than {self._policy.lease_ttl_seconds:g} s"
            await self._attempt_failed(conn, round_, LEASE_LOST, reason, retryable=True)
        return round_

    async def _used(self, conn: Connection, round_id: UUID, fence: int, usage: Usage | None) -> None:
        if usage is not None:
            await self._store.tell_usage(conn, round_id, fence, usage)

    async def _attempt_failed(self, conn: Connection, round_: Round, rule: str, reason: str, retryable: bool) -> bool:
        """Offer the round again, or give it up and set its new datasets aside, so that they block nobody."""
        # A worker that died after it had stored new work did not die of the round: counting starts again.
        advanced = await self._store.stored_checkpoint(conn, round_.round_id, round_.fence)
        failures = 1 if advanced else round_.failures + 1
        outages = (0 if advanced else round_.outages) + (rule in OUTAGES)
        divergences = round_.divergences + (rule == NOT_FINITE)
        step = await step_of(self._store, conn, round_)
        most, blames = self._policy.max_attempts, step is not None
        will_retry = may_retry(failures, most, retryable, divergences, outages, blames=blames)
        if will_retry:
            await self._store.offer_again(conn, round_, failures, reason, divergences, outages)
        else:
            await self._store.end_round(conn, round_, RoundState.FAILED, reason=reason, failures=failures)
            if step is not None and rule in OUTAGES:
                await interrupted(self._store, conn, round_, step, reason)
            else:
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
