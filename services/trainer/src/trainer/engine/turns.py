"""Whose batch a step trains on, when branches take turns.

deepmd draws the branch of each step at random. In a round of a few hundred steps chance then gives a branch a tenth
more or fewer of them than it should have, and runs of one branch, after which the others are worse for a while. Here
every branch comes as often as its weight says, at even distances.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trainer.work import Work


class Turns:
    """The branch of every step on one of `size` ranks. It depends on nothing else: a resumed attempt goes on in it."""

    def __init__(self, weights: Sequence[float], steps: int, rank: int = 0, size: int = 1) -> None:
        self._rank, self._size, self._steps = rank, size, steps
        self._order = np.fromiter(order(weights, steps * size), np.int32)
        self._alone = np.eye(len(weights))

    def at(self, step: int) -> int:
        """Position of the branch of step `step`, from 0."""
        # Who takes which of a step's turns is drawn, the same on all ranks: in any fixed order a rank might never
        # see some of the branches.
        place = np.random.default_rng(step).permutation(self._size)[self._rank]
        return int(self._order[step * self._size + place])

    def give(self, trainer: Any, step: int) -> None:
        """Before that step: deepmd's draw by these probabilities can fall on nothing else. After the last: nothing."""
        if step < self._steps:
            trainer.model_prob = self._alone[self.at(step)]


def takes_turns(work: Work) -> bool:
    """Where the preset asks for it and new branches join old ones."""
    return work.preset.takes_turns and {branch.is_new for branch in work.branches} == {True, False}


def turns_of(work: Work, rank: int = 0, size: int = 1) -> Turns | None:
    """None: deepmd draws."""
    if not takes_turns(work):
        return None
    return Turns([branch.weight for branch in work.branches], work.total_steps, rank, size)


def order(weights: Sequence[float], turns: int) -> Iterator[int]:
    """Positions of branches: each time of the one that is owed most.

    At no time has one had a whole turn more than its part of all, and hardly ever has one had a whole turn less.
    """
    part = np.array(weights) / sum(weights)
    owed = np.zeros(len(part))
    for _ in range(turns):
        owed += part
        chosen = int(owed.argmax())
        owed[chosen] -= 1
        yield chosen
