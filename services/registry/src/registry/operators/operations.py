"""Use cases of operators: pause, cancel, look for what made a round fail, withdraw, weigh.

Every method runs inside its caller's transaction; what it emits commits with what it writes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from contracts.base import Credit, DatasetRef
from contracts.events import TrainingFailed
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection

from registry import ports
from registry.domain.inquiries import Inquiry, InquiryKind
from registry.domain.publication import model_marked
from registry.domain.rounds import (
    DatasetState,
    InvalidRequest,
    Member,
    NotInThisState,
    Round,
    RoundState,
    UnknownDataset,
)
from registry.rounds.announcing import announce
from registry.rounds.inquiry_steps import going_on, release, save, step_of
from registry.rounds.service import known_round

log = get_logger(__name__)

CANCELLED = "cancelled"
WITHOUT_MODEL = (RoundState.FAILED, RoundState.WITHHELD, RoundState.CANCELLED)
BUSY = (DatasetState.TRAINING, DatasetState.RESERVED)
AGAIN = (DatasetState.WAITING, DatasetState.FAILED, DatasetState.WITHHELD)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal touched."""

    trained_versions: tuple[str, ...]
    descended_versions: tuple[str, ...]
    cancelled_round: UUID | None


class Operations:
    """One operator at a time, and never beside a planner: each command takes the lock of planning first."""

    def __init__(self, store: ports.Line) -> None:
        self._store = store

    async def pause(self, conn: Connection, reason: str) -> str | None:
        """Plan and lease nothing from now on; the worker that was asked to hand its lease back, if one trains."""
        await self._store.lock_planning(conn)
        round_ = await self._store.open_round(conn)
        await self._store.pause(conn, reason or "an operator asked for it")
        log.info("growth-paused", reason=reason)
        return None if round_ is None else round_.worker

    async def resume(self, conn: Connection) -> bool:
        """False: it was not paused."""
        await self._store.lock_planning(conn)
        log.info("growth-resumed")
        return await self._store.resume(conn)

    async def cancel(
        self, conn: Connection, round_id: UUID | None, reason: str, *, pause: bool
    ) -> tuple[Round, tuple[Member, ...]]:
        """End the open round; the datasets that wait again. An inquiry whose round it is stops.

        Raises UnknownRound, NotInThisState.
        """
        await self._store.lock_planning(conn)
        round_ = await self._open_round(conn, round_id)
        reason = reason or "an operator asked for it"
        if pause:
            await self._store.pause(conn, f"round {round_.round_id} was cancelled: {reason}")
        step = await step_of(self._store, conn, round_)
        if step is not None:
            await self._let_go(conn, step.inquiry, f"its round {round_.round_id} was cancelled: {reason}")
        return round_, await self._cancel(conn, round_, DatasetState.WAITING, reason)

    async def rerun(self, conn: Connection, round_id: UUID, without: DatasetRef | None) -> Inquiry:
        """Another round on the new datasets of one that ended without a model, without one of them.

        The one that is left out stays as it is. Raises UnknownRound, NotInThisState, InvalidRequest.
        """
        round_, members = await self._ended(conn, round_id)
        if without is not None and without not in {member.ref for member in members}:
            raise InvalidRequest(f"dataset {without} was not new in round {round_id}")
        again = [member for member in members if member.ref != without and member.state in AGAIN]
        if not again:
            raise NotInThisState(f"no dataset of round {round_id} is left to be trained again")
        return await self._inquire(conn, InquiryKind.RERUN, round_, again)

    async def bisect(self, conn: Connection, round_id: UUID) -> Inquiry:
        """Find which datasets made a round end without a model. Raises UnknownRound, NotInThisState."""
        round_, members = await self._ended(conn, round_id)
        again = [member for member in members if member.state in AGAIN]
        if len(again) < 2:
            raise NotInThisState(
                f"{len(again)} dataset of round {round_id} can be trained again: there is nothing to halve"
            )
        return await self._inquire(conn, InquiryKind.BISECT, round_, again)

    async def stop(self, conn: Connection, reason: str) -> tuple[Member, ...]:
        """End the inquiry; the datasets that wait again. A round of it that is open goes on as an ordinary one.

        Raises NotInThisState.
        """
        await self._store.lock_planning(conn)
        await self._store.open_round(conn)  # its worker must not end it meanwhile
        inquiry = await going_on(self._store, conn)
        if inquiry is None:
            raise NotInThisState("no bisection and no re-run goes on: there is nothing to stop")
        return await self._let_go(conn, inquiry, reason or "an operator stopped it")

    async def withdraw(self, conn: Connection, ref: DatasetRef, reason: str) -> Withdrawal:
        """Leave the dataset out of all rounds to come, and mark the versions that it trained.

        An open round that trains on it is cancelled. Repeating it changes nothing. Raises UnknownDataset.
        """
        await self._store.lock_planning(conn)
        round_ = await self._store.open_round(conn)
        if await self._store.dataset(conn, ref) is None:
            raise UnknownDataset(f"no dataset {ref} has passed the metric")
        await self._store.withdraw(conn, ref, reason or "its owner withdrew it")
        trained, descended = await self._store.trained_versions(conn, ref)
        await self._mark(conn, (*trained, *descended))
        if round_ is not None and ref in {one.member.ref for one in await self._store.branches(conn, round_.round_id)}:
            step = await step_of(self._store, conn, round_)
            if step is not None:
                await save(self._store, conn, step.inquiry.put_back(step.group))
            state = DatasetState.WAITING if step is None else DatasetState.RESERVED
            await self._cancel(conn, round_, state, "a dataset of the round was withdrawn")
        else:
            round_ = None
        log.info("dataset-withdrawn", dataset=str(ref), versions=trained)
        return Withdrawal(trained, descended, round_.round_id if round_ else None)

    async def withdrawn_by_contributor(self, conn: Connection, ref: DatasetRef, reason: str) -> Withdrawal | None:
        """As `withdraw`; a dataset that has not passed the metric is remembered, and never joins. None then."""
        await self._store.lock_planning(conn)
        await self._store.remember_withdrawal(conn, ref, reason)
        if await self._store.dataset(conn, ref) is None:
            log.info("withdrawal-remembered", dataset=str(ref))
            return None
        return await self.withdraw(conn, ref, reason)

    async def made_public(self, conn: Connection, ref: DatasetRef, credit: Credit) -> None:
        """Models to come name it and its authors. Published versions stay as they were told."""
        await self._store.lock_planning(conn)
        await self._store.remember_credit(conn, ref, credit)
        await self._store.set_credit(conn, ref, credit)
        log.info("dataset-made-public", dataset=str(ref))

    async def set_weight(self, conn: Connection, ref: DatasetRef, weight: float) -> None:
        """How often it is drawn in rounds to come, beside √frames of the others; 0: as them. Raises UnknownDataset."""
        if not (math.isfinite(weight) and weight >= 0):
            raise InvalidRequest(f"weight {weight:g} is none: a positive number, or 0 for that of its frames")
        if await self._store.dataset(conn, ref) is None:
            raise UnknownDataset(f"no dataset {ref} has passed the metric")
        await self._store.set_relative_weight(conn, ref, weight or None)
        log.info("dataset-weighed", dataset=str(ref), weight=weight)

    async def _mark(self, conn: Connection, versions: Sequence[str]) -> None:
        """Tell of each version what of its data is withdrawn by now."""
        for version in versions:
            model = await self._store.model(conn, version)
            if model is not None:
                await emit(conn, model_marked(model))

    async def _open_round(self, conn: Connection, round_id: UUID | None) -> Round:
        round_ = await self._store.open_round(conn)
        if round_ is not None and round_id in (None, round_.round_id):
            return round_
        if round_id is None:
            raise NotInThisState("no round waits or trains: there is nothing to cancel")
        ended = await known_round(self._store, conn, round_id)
        raise NotInThisState(f"round {round_id} has ended ({ended.state}): there is nothing to cancel")

    async def _cancel(self, conn: Connection, round_: Round, state: DatasetState, reason: str) -> tuple[Member, ...]:
        sentence = f"The round was cancelled: {reason}. Your dataset waits for another one."
        await self._store.end_round(conn, round_, RoundState.CANCELLED, reason=reason)
        await self._store.set_new_datasets(conn, round_.round_id, state)
        branches = await self._store.branches(conn, round_.round_id)
        waiting = tuple(one.member for one in branches if one.is_new and not one.member.withdrawn)
        # First that the datasets wait, then that the round is over: nobody reads that theirs has failed.
        await release(conn, round_, waiting, "waits", CANCELLED, sentence)
        ended = TrainingFailed(
            round_id=round_.round_id,
            attempt=max(1, round_.fence),
            rule=CANCELLED,
            reason=f"the round was cancelled: {reason}",
            will_retry=False,
        )
        await announce(conn, round_, ended)
        log.info("round-cancelled", round=str(round_.round_id), reason=reason)
        return waiting

    async def _ended(self, conn: Connection, round_id: UUID) -> tuple[Round, tuple[Member, ...]]:
        """A round that ended without a model, with its new datasets, when a search may begin."""
        await self._store.lock_planning(conn)
        inquiry = await going_on(self._store, conn)
        if inquiry is not None:
            raise NotInThisState(f"a {inquiry.kind} of round {inquiry.round_id} still goes on: stop it first")
        round_ = await known_round(self._store, conn, round_id)
        if round_.state not in WITHOUT_MODEL:
            first = "cancel it first" if round_.ended_at is None else "there is nothing to look for"
            raise NotInThisState(f"round {round_id} has not ended without a model, it is {round_.state}: {first}")
        members = tuple(one.member for one in await self._store.branches(conn, round_id) if one.is_new)
        if busy := [member for member in members if member.state in BUSY]:
            raise NotInThisState(
                f"{len(busy)} datasets of round {round_id} are in another round now: cancel that first"
            )
        return round_, members

    async def _inquire(self, conn: Connection, kind: InquiryKind, round_: Round, members: Sequence[Member]) -> Inquiry:
        arrivals = [member.arrival for member in members]
        inquiry = Inquiry.begun(uuid4(), kind, round_.round_id, arrivals)
        await self._store.add_inquiry(conn, inquiry)
        await self._store.set_state(conn, arrivals, DatasetState.RESERVED)
        if kind is InquiryKind.BISECT:
            sentence = "Your dataset is trained again, with fewer others, to find what made an earlier round fail."
            await release(conn, round_, tuple(members), "waits", "bisecting", sentence)
        else:
            sentence = "Your dataset is trained again in another round."
            await release(conn, round_, tuple(members), "waits", "rerun", sentence)
        log.info("inquiry-begun", kind=kind, round=str(round_.round_id), datasets=len(members))
        return inquiry

    async def _let_go(self, conn: Connection, inquiry: Inquiry, reason: str) -> tuple[Member, ...]:
        """End the inquiry; the datasets that it still held for later wait."""
        held = await self._store.members(conn, inquiry.pending_members)
        reserved = tuple(member for member in held if member.state is DatasetState.RESERVED)
        await self._store.set_state(conn, [member.arrival for member in reserved], DatasetState.WAITING)
        await self._store.save_inquiry(conn, inquiry.stopped())
        await self._store.end_inquiry(conn, inquiry.inquiry_id, f"stopped: {reason}")
        log.info("inquiry-stopped", inquiry=str(inquiry.inquiry_id), reason=reason)
        return reserved
