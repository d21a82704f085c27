"""How long a check will take: pure arithmetic over the last runs. Times in seconds.

Nobody tells how many workers there are. Something waits only while all of them are busy, so as many work as checks are
under way now; the last runs, where they overlapped, say how many there may be at best.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

OVERDUE_SHARE = 0.25  # of the longest expected time: what a run that takes longer than that may still need


@dataclass(frozen=True, slots=True)
class Run:
    """A check that went all the way."""

    started: datetime
    finished: datetime
    frames: int

    @property
    def seconds(self) -> float:
        return (self.finished - self.started).total_seconds()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A dataset in the line; `started` when its check is under way, `frames` None while it is still being read."""

    frames: int | None
    started: datetime | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Until the verdict, seconds from now."""

    low: float
    high: float


class Speed:
    """What a run over so many frames takes, from the runs there were."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._models = _models(runs)
        ratios = [run.seconds / self._typical(run.frames) for run in runs]
        # Few runs say little about how much they scatter.
        self._fast, self._slow = min(0.75, *ratios), max(1.5, *ratios)

    def _typical(self, frames: int) -> float:
        times = self._times(frames)
        return sum(times) / len(times)

    def _times(self, frames: int) -> list[float]:
        return [fixed + per_frame * frames for fixed, per_frame in self._models]

    def range(self, frames: int) -> Range:
        times = self._times(frames)
        return Range(min(times) * self._fast, max(times) * self._slow)


def _models(runs: Sequence[Run]) -> list[tuple[float, float]]:
    """(fixed seconds, seconds a frame): a straight line; of runs of one size, the two that it may be."""
    count = len(runs)
    frames = sum(run.frames for run in runs) / count
    seconds = sum(run.seconds for run in runs) / count
    spread = sum((run.frames - frames) ** 2 for run in runs)
    constant, proportional = (seconds, 0.0), (0.0, seconds / frames)
    if spread == 0:
        return [constant, proportional]
    slope = sum((run.frames - frames) * (run.seconds - seconds) for run in runs) / spread
    if slope <= 0:
        return [constant]
    fixed = seconds - slope * frames
    return [(fixed, slope)] if fixed > 0 else [proportional]


def at_once(runs: Iterable[Run]) -> int:
    """The most runs that were under way at the same time."""
    turns = sorted(turn for run in runs for turn in ((run.started, 1), (run.finished, -1)))
    most = now = 0
    for _, change in turns:
        now += change
        most = max(most, now)
    return most


def ranges(line: Sequence[Waiting], runs: Sequence[Run], now: datetime) -> list[Range | None]:
    """For each of the line, in the order of being served. None where nothing can be said."""
    known = [run for run in runs if run.frames > 0 and run.seconds > 0]
    if not known:
        return [None] * len(line)
    speed = Speed(known)
    busy = max(1, sum(one.started is not None for one in line))
    lows = _finishes(line, speed, now, max(busy, at_once(known)), longest=False)
    highs = _finishes(line, speed, now, busy, longest=True)
    return [
        None if low is None or high is None else rounded(low, max(low, high))
        for low, high in zip(lows, highs, strict=True)
    ]


def _finishes(
    line: Sequence[Waiting], speed: Speed, now: datetime, workers: int, *, longest: bool
) -> list[float | None]:
    """Seconds until each is done when `workers` serve the line in its order."""
    free: list[float] = []
    found: list[float | None] = [None] * len(line)
    for place, one in enumerate(line):
        if one.started is not None and one.frames is not None:
            found[place] = _remaining(speed.range(one.frames), (now - one.started).total_seconds(), longest=longest)
            heapq.heappush(free, found[place] or 0.0)
    free += [0.0] * (workers - len(free))
    heapq.heapify(free)
    for place, one in enumerate(line):
        if one.started is None and one.frames is not None:
            takes = speed.range(one.frames)
            found[place] = heapq.heappop(free) + (takes.high if longest else takes.low)
            heapq.heappush(free, found[place] or 0.0)
    return found


def _remaining(takes: Range, elapsed: float, *, longest: bool) -> float:
    if longest:
        return max(takes.high - elapsed, OVERDUE_SHARE * takes.high)
    return max(takes.low - elapsed, 0.0)


def rounded(low: float, high: float) -> Range:
    """To steps that a person would say: 5 s, minutes, half hours; the same for a while although time goes on."""
    step = 5 if high < 90 else 60 if high < 5400 else 1800
    down, up = math.floor(low / step) * step, math.ceil(high / step) * step
    return Range(float(down), float(up if up > down else down + step))
