"""Planning a round: when, on what, under which branch names, with which sampling weights."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from contracts.base import DatasetRef

from registry.domain.policy import GrowthPolicy
from registry.domain.rounds import Branch, Member, RoundPlan, WaitingList

NAME_LENGTH = 40


def is_due(waiting: WaitingList, first: bool, policy: GrowthPolicy) -> bool:
    """Whether to plan now, when no round is open. `first`: no model yet.

    Neither a full batch nor who has waited long waits for quiet: a steady stream must not put a round off for ever.
    """
    count = len(waiting.members)
    if count == 0 or (first and count < policy.first_round_min_datasets):
        return False
    return (
        waiting.quiet_seconds >= policy.gather_seconds
        or waiting.waited_seconds >= policy.gather_max_seconds
        or count >= batch_size(first, policy)
    )


def batch_size(first: bool, policy: GrowthPolicy) -> int:
    """How many new datasets a round takes at most."""
    return max(policy.max_datasets_per_round, policy.first_round_min_datasets if first else 1)


def plan_round(
    round_id: UUID,
    parent_version: str | None,
    old: Sequence[Branch],
    waiting: Sequence[Member],
    policy: GrowthPolicy,
    private_tag: Callable[[], str],
    most: int | None = None,
    test_frames: Mapping[DatasetRef, tuple[int, ...]] | None = None,
) -> RoundPlan:
    """The next round: the parent's branches, in their order, and a batch of `waiting`, those that came first.

    `most`: how many new datasets it takes; none: as the policy says.

    Branches of withdrawn datasets are left out; a parent that has no others is none. So are those of older versions of
    a dataset that is new in this round, unless nothing would be left to grow from. New branches stand in the order of
    their names, so that the order of arrival does not change the candidate.

    `test_frames`: training frames of datasets that are in the standard dataset, named to be left out.

    `private_tag` draws eight hex digits that say nothing about a private dataset, not even to who knows its id.
    """
    taken = [branch.name for branch in old]
    old = [branch for branch in old if not branch.member.withdrawn]
    parent_version = parent_version if old else None
    first = parent_version is None
    batch = list(waiting)[: most or batch_size(first, policy)]
    old = without_superseded(old, batch) or old
    names = branch_names(batch, taken, private_tag)
    steps = total_steps(len(old), len(batch), policy)
    old_weights, new_weights = sampling_weights([branch.member for branch in old], batch, steps, policy)
    left_out = test_frames or {}
    kept = [
        Branch(branch.name, branch.member, False, weight, left_out.get(branch.member.ref, ()))
        for branch, weight in zip(old, old_weights, strict=True)
    ]
    added = [
        Branch(name, member, True, weight, left_out.get(member.ref, ()))
        for name, member, weight in zip(names, batch, new_weights, strict=True)
    ]
    added.sort(key=lambda branch: branch.name)
    return RoundPlan(
        round_id=round_id,
        parent_version=parent_version,
        preset=policy.preset,
        total_steps=steps,
        seed=seed_of(policy.seed, parent_version),
        traceparent=batch[0].traceparent,
        branches=(*kept, *added),
    )


def without_superseded(old: Sequence[Branch], new: Sequence[Member]) -> list[Branch]:
    """The branches of `old` of whose dataset no later version is among `new`."""
    newest = {member.ref.dataset_id: member.ref.version for member in new}
    return [one for one in old if one.member.ref.version >= newest.get(one.member.ref.dataset_id, 0)]


def total_steps(old: int, new: int, policy: GrowthPolicy) -> int:
    """The round's budget: what a round takes, more for every old branch and every further dataset, up to the limit."""
    if old == 0:
        return policy.first_round_steps
    further = (new - 1) * policy.steps_per_further_dataset + old * policy.steps_per_old_branch
    steps = policy.growth_round_steps + further
    return max(policy.growth_round_steps, min(steps, policy.growth_round_max_steps))


def sampling_weights(
    old: Sequence[Member], new: Sequence[Member], steps: int, policy: GrowthPolicy
) -> tuple[list[float], list[float]]:
    """Probability of each branch in a round of so many steps: by its weight within a group; the new ones together take
    the policy's share.

    It grows with what they bring: a dozen frames beside a large base need no half of all draws, and what they took
    from the old ones would be forgotten. Nor do they need more than so many steps for each frame: the rest of a long
    round would only pull the model towards what it has learned by then.

    A dataset's weight is its training frames to the policy's power (√frames), unless an operator has set it.
    Without old branches the new ones take all.
    """
    of_old, of_new = _weights(old, policy), _weights(new, policy)
    natural = math.fsum(of_new) / math.fsum((*of_old, *of_new))
    wanted = max(policy.new_datasets_boost * natural, policy.new_datasets_least_share)
    enough = policy.new_datasets_most_steps_per_frame * sum(member.train_frames for member in new) / steps
    share = min(wanted, policy.new_datasets_share, max(enough, natural)) if old else 1.0
    return _shared(of_old, 1 - share), _shared(of_new, share)


def _weights(members: Sequence[Member], policy: GrowthPolicy) -> list[float]:
    return [one.relative_weight or max(1, one.train_frames) ** policy.weight_exponent for one in members]


def _shared(weights: Sequence[float], share: float) -> list[float]:
    total = math.fsum(weights)
    return [share * weight / total for weight in weights]


def branch_names(members: Sequence[Member], taken: Sequence[str], private_tag: Callable[[], str]) -> list[str]:
    """A unique name for each: the title's slug, or `contribution-<tag>` for a private dataset."""
    used = set(taken)
    names = []
    for member in members:
        if member.credit.private:
            name = f"contribution-{private_tag()}"
            while name in used:
                name = f"contribution-{private_tag()}"
        else:
            name = _numbered(slug(member.credit.title), used)
        used.add(name)
        names.append(name)
    return names


def slug(title: str) -> str:
    """Lower-case ASCII letters, digits and dashes, at most 40: branch names become file names and JSON keys."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:NAME_LENGTH].rstrip("-") or "dataset"


def _numbered(name: str, used: set[str]) -> str:
    candidate, number = name, 1
    while candidate in used:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def seed_of(seed: int, parent_version: str | None) -> int:
    """The same data on the same parent gives the same candidate; below 2³¹, which every random generator takes."""
    text = f"{seed}:{parent_version or 'first'}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
