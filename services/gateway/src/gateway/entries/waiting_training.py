"""How long until a model is there that a waiting dataset trained: pure arithmetic over the last rounds.

Rounds run one after the other, and what waits joins the next one, as many as fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.entries.waiting import OVERDUE_SHARE, Range, rounded


@dataclass(frozen=True, slots=True)
class PastRound:
    """A round that ended with a model; `datasets`: how many were new in it."""

    planned: datetime
    published: datetime
    datasets: int

    @property
    def seconds(self) -> float:
        return (self.published - self.planned).total_seconds()


@dataclass(frozen=True, slots=True)
class OpenRound:
    """A round that has not ended. `held_up`: it waits for a machine that is not there."""

    planned: datetime
    held_up: bool = False


def training_ranges(
    line: Sequence[OpenRound | None], rounds: Sequence[OpenRound], past: Sequence[PastRound], now: datetime
) -> list[Range | None]:
    """Until a model is published, for each of the line: its round, or None while it is in none.

    None where nothing can be said: no round has ended yet, or one waits for a machine.
    """
    known = [one for one in past if one.seconds > 0 and one.datasets > 0]
    if not known or any(one.held_up for one in rounds):
        return [None] * len(line)
    takes, fit = _takes(known), max(one.datasets for one in known)
    left = [_remaining(takes, (now - one.planned).total_seconds()) for one in rounds]
    free = Range(max((one.low for one in left), default=0.0), sum(one.high for one in left))
    found: list[Range | None] = []
    unplanned = 0
    for own in line:
        if own is not None:
            remaining = _remaining(takes, (now - own.planned).total_seconds())
            found.append(rounded(remaining.low, remaining.high))
            continue
        found.append(rounded(free.low + takes.low, free.high + (unplanned // fit + 1) * takes.high))
        unplanned += 1
    return found


def _takes(past: Sequence[PastRound]) -> Range:
    """A round. Few of them say little about how much they scatter."""
    seconds = [one.seconds for one in past]
    mean = sum(seconds) / len(seconds)
    return Range(min(0.75 * mean, *seconds), max(1.5 * mean, *seconds))


def _remaining(takes: Range, elapsed: float) -> Range:
    return Range(max(takes.low - elapsed, 0.0), max(takes.high - elapsed, OVERDUE_SHARE * takes.high))
