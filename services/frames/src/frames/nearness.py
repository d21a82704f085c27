"""Which branch of a model is near to data: first who knows its elements, and only then whose error is small.

Why: docs/decisions/0013. Errors of elements that a branch has never met are chance.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

AS_FAMILIAR = 0.1
"""Branches that know so little less of a dataset's elements than the best one are as good: 3 frames of 60 with another
element do not make a branch near that predicts the other 57 badly."""

Branch = TypeVar("Branch")


def familiarity(held: AbstractSet[str], known: AbstractSet[str]) -> float:
    """The part of the elements `held` (at least one) that are `known`, 0..1."""
    return len(held & known) / len(held)


def by_nearness(
    branches: Sequence[Branch],
    familiarity_of: Callable[[Branch], float],
    error_of: Callable[[Branch], tuple[Any, ...]],
) -> list[Branch]:
    """The nearest first: those that know as much as the best one by their errors, then the others by what they know.

    error_of  what sorts branches that know as much, e.g. an error and, for equal ones, a name
    """
    best = max((familiarity_of(one) for one in branches), default=0.0)

    def place(one: Branch) -> tuple[bool, float, tuple[Any, ...]]:
        knows = familiarity_of(one)
        near = knows >= best - AS_FAMILIAR
        return (not near, 0.0 if near else -knows, error_of(one))

    return sorted(branches, key=place)
