"""An inquiry's rounds: which one is planned next, and what its end means for its datasets.

A worker's writes hold the row of their round, and an operator's commands lock that row first: whoever changes an
inquiry is alone with it.
"""

from dataclasses import dataclass

from contracts.events import TrainingReleased
from kit.logs import get_logger
from kit.queries import Connection

from registry import ports
from registry.domain.inquiries import Group, GroupState, Inquiry, InquiryKind
from registry.domain.rounds import DatasetState, Member, Round, RoundPlan
from registry.rounds.announcing import announce

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """The round that an inquiry asks for."""

    inquiry: Inquiry
    group: Group
    members: tuple[Member, ...]


async def going_on(store: ports.Rounds, conn: Connection) -> Inquiry | None:
    """The inquiry that has not ended."""
    inquiry = await store.newest_inquiry(conn)
    return None if inquiry is None or inquiry.ended_at is not None else inquiry


async def next_step(store: ports.Rounds, conn: Connection) -> Step | None:
    """What to train next; none when no inquiry goes on. Only datasets that are still reserved are trained."""
    inquiry = await going_on(store, conn)
    while inquiry is not None:
        inquiry, group = inquiry.next_step()
        if group is None:
            await save(store, conn, inquiry)
            return None
        reserved = [one for one in await store.members(conn, group.members) if one.state is DatasetState.RESERVED]
        if reserved:
            return Step(inquiry, group, tuple(reserved))
        inquiry = inquiry.without(group)
    return None


async def planned(store: ports.Rounds, conn: Connection, step: Step, plan: RoundPlan) -> None:
    """The step's round is stored."""
    arrivals = [member.arrival for member in step.members]
    await save(store, conn, step.inquiry.training(step.group, arrivals, plan.round_id))


async def ended_without_model(
    store: ports.Rounds, conn: Connection, round_: Round, state: DatasetState, reason: str
) -> None:
    """Set the round's new datasets aside, unless a bisection goes on with them."""
    step = await step_of(store, conn, round_)
    if step is None or step.inquiry.kind is InquiryKind.RERUN:
        await store.set_new_datasets(conn, round_.round_id, state, reason)
    elif len(step.group.members) > 1:
        sentence = (
            f"A round on {len(step.group.members)} datasets ended without a new model, and one of them is looked for: "
            f"your dataset waits to be trained with fewer. {reason}"
        )
        await store.set_new_datasets(conn, round_.round_id, DatasetState.RESERVED, sentence)
        await release(conn, round_, step.members, "waits", "bisecting", sentence)
    else:
        sentence = (
            "An earlier round with your dataset ended without a new model, and so did a round with your dataset alone, "
            f"so it was taken out of the line; the others go on without it. {reason}"
        )
        await store.set_new_datasets(conn, round_.round_id, DatasetState.FAILED, sentence)
        await release(conn, round_, step.members, "failed", "isolated", sentence)
    if step is not None:
        await save(store, conn, step.inquiry.not_published(step.group))


async def interrupted(store: ports.Rounds, conn: Connection, round_: Round, step: Step, reason: str) -> None:
    """The step's round was given up for reasons that say nothing of its datasets: nobody is blamed.

    The same group is tried again; growth is paused until an operator has looked, or it would fail the same way.
    """
    sentence = (
        "A round that looks for what made an earlier one fail could not be trained, for reasons that are not in your "
        f"dataset: it is tried again when they are mended. {reason}"
    )
    await store.set_new_datasets(conn, round_.round_id, DatasetState.RESERVED, sentence)
    rule = "rerun" if step.inquiry.kind is InquiryKind.RERUN else "bisecting"
    await release(conn, round_, step.members, "waits", rule, sentence)
    await save(store, conn, step.inquiry.put_back(step.group))
    await store.pause(
        conn,
        f"round {round_.round_id} of a {step.inquiry.kind} was given up for reasons that are not in its datasets "
        f"({reason}); resume when they are mended",
    )
    log.warning("inquiry-interrupted", inquiry=str(step.inquiry.inquiry_id), round=str(round_.round_id), reason=reason)


async def ended_with_model(store: ports.Rounds, conn: Connection, round_: Round) -> None:
    """The round's new datasets are published; an inquiry learns from it."""
    step = await step_of(store, conn, round_)
    if step is not None:
        await save(store, conn, step.inquiry.published(step.group))


async def step_of(store: ports.Rounds, conn: Connection, round_: Round) -> Step | None:
    """The step that this round is, if the inquiry still goes on."""
    inquiry = await going_on(store, conn)
    if inquiry is None:
        return None
    for group in inquiry.groups:
        if group.round_id == round_.round_id and group.state is GroupState.TRAINING:
            return Step(inquiry, group, tuple(await store.members(conn, group.members)))
    return None


async def save(store: ports.Rounds, conn: Connection, inquiry: Inquiry) -> None:
    """Store how far the inquiry has come; it ends when nothing is left to try."""
    await store.save_inquiry(conn, inquiry)
    if inquiry.finished:
        await store.end_inquiry(conn, inquiry.inquiry_id, inquiry.conclusion())
        log.info("inquiry-ended", inquiry=str(inquiry.inquiry_id), outcome=inquiry.conclusion())


async def release(
    conn: Connection,
    round_: Round,
    members: tuple[Member, ...],
    outcome: str,
    rule: str,
    reason: str,
) -> None:
    """Tell that the round has no more to do with these datasets. Withdrawn ones neither wait nor failed."""
    refs = tuple(member.ref for member in members if not member.withdrawn)
    if refs:
        told = {"round_id": round_.round_id, "datasets": refs, "outcome": outcome, "rule": rule, "reason": reason}
        await announce(conn, round_, TrainingReleased.model_validate(told))
