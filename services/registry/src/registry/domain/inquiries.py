"""Looking for what made a round end without a model: which datasets to train together next, and what that tells.

A bisection trains halves, each in an ordinary round. A half that goes well is published and done; one that does
not is halved again, down to single datasets. When one half of a bad group goes well, the other is known to be bad
and is halved without a round of its own; single datasets are always tried, so that nobody is blamed unheard (two
datasets may only harm each other). A re-run is an inquiry of one group that is never halved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class InquiryKind(StrEnum):
    BISECT = "bisect"
    RERUN = "rerun"


class GroupState(StrEnum):
    """PENDING and TRAINING are open; the others are ends."""

    PENDING = "pending"
    TRAINING = "training"
    PUBLISHED = "published"
    SPLIT = "split"
    SET_ASIDE = "set-aside"
    RELEASED = "released"


OPEN = (GroupState.PENDING, GroupState.TRAINING)


@dataclass(frozen=True, slots=True)
class Group:
    """Datasets that are trained together, by their arrivals in rising order."""

    number: int
    members: tuple[int, ...]
    state: GroupState = GroupState.PENDING
    sibling: int | None = None
    """Number of the other half."""
    suspected: bool = False
    """The other half went well, so this one holds what made them fail together."""
    round_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A search and how far it has come. Every method returns the next state of affairs."""

    inquiry_id: UUID
    kind: InquiryKind
    round_id: UUID
    groups: tuple[Group, ...]
    ended_at: datetime | None = None
    outcome: str | None = None

    @classmethod
    def begun(cls, inquiry_id: UUID, kind: InquiryKind, round_id: UUID, members: Sequence[int]) -> "Inquiry":
        """On these datasets of the round; a bisection needs two or more."""
        everyone = Group(0, tuple(sorted(members)))
        inquiry = cls(inquiry_id, kind, round_id, (everyone,))
        return inquiry.split(everyone) if kind is InquiryKind.BISECT else inquiry

    def next_step(self) -> "tuple[Inquiry, Group | None]":
        """Halve what need not be tried, then the group to train; none when nothing is left."""
        inquiry = self
        while (group := inquiry.first_pending()) is not None and group.suspected and len(group.members) > 1:
            inquiry = inquiry.split(group)
        return inquiry, group

    def training(self, group: Group, members: Sequence[int], round_id: UUID) -> "Inquiry":
        """A round is planned on `members`: the group's datasets that can still be trained."""
        started = replace(group, members=tuple(members), state=GroupState.TRAINING, round_id=round_id)
        return self.with_group(started)

    def without(self, group: Group) -> "Inquiry":
        """None of the group's datasets can be trained any more."""
        return self.with_group(replace(group, state=GroupState.RELEASED))

    def put_back(self, group: Group) -> "Inquiry":
        """The group's round ended for reasons that say nothing of the datasets: it is trained again later."""
        return self.with_group(replace(group, state=GroupState.PENDING, round_id=None))

    def published(self, group: Group) -> "Inquiry":
        """The group's round led to a model."""
        inquiry = self.with_group(replace(group, state=GroupState.PUBLISHED))
        other = inquiry.group(group.sibling) if group.sibling is not None else None
        if other is None or other.state is not GroupState.PENDING:
            return inquiry
        return inquiry.with_group(replace(other, suspected=True))

    def not_published(self, group: Group) -> "Inquiry":
        """The group's round ended without a model."""
        if self.kind is InquiryKind.BISECT and len(group.members) > 1:
            return self.split(group)
        return self.with_group(replace(group, state=GroupState.SET_ASIDE))

    def stopped(self) -> "Inquiry":
        """Whatever was not decided is let go."""
        groups = (replace(one, state=GroupState.RELEASED) if one.state in OPEN else one for one in self.groups)
        return replace(self, groups=tuple(groups))

    def group(self, number: int) -> Group:
        return self.groups[number]

    def group_of(self, round_id: UUID) -> Group:
        """The group that is trained in that round."""
        return next(one for one in self.groups if one.round_id == round_id)

    @property
    def finished(self) -> bool:
        return not any(one.state in OPEN for one in self.groups)

    @property
    def pending_members(self) -> tuple[int, ...]:
        return tuple(member for one in self.groups if one.state is GroupState.PENDING for member in one.members)

    def conclusion(self) -> str:
        """What a finished inquiry found, in words."""
        counts = {state: sum(len(one.members) for one in self.groups if one.state is state) for state in GroupState}
        aside, published = counts[GroupState.SET_ASIDE], counts[GroupState.PUBLISHED]
        if self.kind is InquiryKind.RERUN:
            return "the re-run led to a model" if published else "the re-run ended without a model"
        if aside == 0:
            return f"no dataset fails alone: {published} were published, so they only harm each other in one round"
        return f"{aside} set aside, {published} published"

    def first_pending(self) -> Group | None:
        # Groups never interleave, so this finishes one half before it begins the other.
        pending = [one for one in self.groups if one.state is GroupState.PENDING]
        return min(pending, key=lambda one: one.members[0], default=None)

    def split(self, group: Group) -> "Inquiry":
        middle, number = len(group.members) // 2, len(self.groups)
        halves = (
            Group(number, group.members[:middle], sibling=number + 1),
            Group(number + 1, group.members[middle:], sibling=number),
        )
        split = self.with_group(replace(group, state=GroupState.SPLIT))
        return replace(split, groups=(*split.groups, *halves))

    def with_group(self, group: Group) -> "Inquiry":
        return replace(self, groups=(*self.groups[: group.number], group, *self.groups[group.number + 1 :]))
