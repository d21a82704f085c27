"""Planning a round: when, on what, under which branch names, with which sampling weights."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from uuid import UUID

from registry.domain import Branch, Member, RoundPlan
from registry.policy import GrowthPolicy

NAME_LENGTH = 40
NEW_SHARE = 0.5


def is_due(waiting: int, quiet_seconds: float, first: bool, policy: GrowthPolicy) -> bool:
    """Whether to plan now, when no round is open. `quiet_seconds`: time since the last arrival; `first`: no model yet.

    A full batch does not wait for quiet: a steady stream of arrivals must not put a round off for ever.
    """
    if waiting == 0 or (first and waiting < policy.first_round_min_datasets):
        return False
    return quiet_seconds >= policy.gather_seconds or waiting >= batch_size(first, policy)


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
) -> RoundPlan:
    """The next round: the parent's branches, in their order, and a batch of `waiting`, those that came first.

    New branches stand in the order of their names, so that the order of arrival does not change the candidate.

    `private_tag` draws eight hex digits that say nothing about a private dataset, not even to who knows its id.
    """
    first = parent_version is None
    batch = list(waiting)[: batch_size(first, policy)]
    names = branch_names(batch, [branch.name for branch in old], private_tag)
    old_weights, new_weights = sampling_weights(
        [branch.member.train_frames for branch in old], [member.train_frames for member in batch]
    )
    kept = [Branch(branch.name, branch.member, False, weight) for branch, weight in zip(old, old_weights, strict=True)]
    added = [Branch(name, member, True, weight) for name, member, weight in zip(names, batch, new_weights, strict=True)]
    added.sort(key=lambda branch: branch.name)
    return RoundPlan(
        round_id=round_id,
        parent_version=parent_version,
        preset=policy.preset,
        total_steps=policy.first_round_steps if first else policy.growth_round_steps,
        seed=seed_of(policy.seed, parent_version),
        traceparent=batch[0].traceparent,
        branches=(*kept, *added),
    )


def sampling_weights(old: Sequence[int], new: Sequence[int]) -> tuple[list[float], list[float]]:
    """Probability of each branch from its training frames: √frames within a group; new ones together take half.

    Without old branches the new ones take all.
    """
    share = NEW_SHARE if old else 1.0
    return _shared(old, 1 - share), _shared(new, share)


def _shared(frames: Sequence[int], share: float) -> list[float]:
    roots = [math.sqrt(count) for count in frames]
    total = math.fsum(roots)
    return [share * root / total for root in roots]


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
