"""Confidence intervals of held-out errors: a seeded bootstrap over frames.

Frames of a branch are drawn with replacement; the same draws are used for every prediction of them (candidate,
parent or zero-shot, baseline), so that an interval of a change is that of paired numbers.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contracts.artifacts import BranchManifest, FrameErrors, HeldOutFrames
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
LEAST_FRAMES = 2
"""One frame says nothing about how much frames differ."""
MOST_HEAPS = 2000
"""Enough for an interval; a gate over a hundred branches must not take minutes."""
_DRAWN_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often frames are drawn, from which seed, and how much of the draws an interval holds (0.95: 95 %)."""

    seed: int
    draws: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the number lies if the frames had been others of their kind."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rmse:
    """Energy RMSE in meV/atom and force RMSE in meV/Å, one value a draw: float64 [draws]."""

    energy: FloatArray
    force: FloatArray


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the frames of each heap, float64 [heaps]: squared energy errors, atoms × squared force errors."""

    energy: FloatArray
    force: FloatArray


@dataclass(frozen=True, slots=True)
class Draws:
    """The errors of one branch on many draws of its held-out frames, for every prediction of them."""

    after: Rmse
    before: Rmse | None
    baseline: Rmse


def rmse(errors: FrameErrors, atoms: Sequence[int]) -> tuple[float, float]:
    """Energy RMSE in meV/atom and force RMSE in meV/Å over all frames, as the trainer states them."""
    sums = _sums(errors, np.asarray(atoms, dtype=np.float64), np.zeros(len(atoms), dtype=np.int64))
    return float(np.sqrt(sums.energy[0] / len(atoms))), float(np.sqrt(sums.force[0] / sum(atoms)))


def drawn(name: str, frames: HeldOutFrames, sampling: Sampling) -> Draws:
    """The same seed and name give the same draws. Beyond `MOST_HEAPS` frames, random heaps of them are drawn."""
    random = np.random.default_rng([sampling.seed % 2**32, zlib.crc32(name.encode())])
    atoms = np.asarray(frames.atoms, dtype=np.float64)
    heaps = min(len(atoms), MOST_HEAPS)
    heap = random.permutation(len(atoms)) % heaps
    sizes, heap_atoms = np.bincount(heap, minlength=heaps), np.bincount(heap, atoms, heaps)
    told = (frames.after, frames.before or frames.after, frames.baseline)
    sums = [_sums(errors, atoms, heap) for errors in told]
    parts: list[list[Rmse]] = [[] for _ in sums]
    rows = max(1, _DRAWN_AT_ONCE // heaps)
    for begin in range(0, sampling.draws, rows):
        size = min(rows, sampling.draws - begin)
        counts = random.multinomial(heaps, np.full(heaps, 1 / heaps), size).astype(np.float64)
        per_frame, per_atom = counts @ sizes, counts @ heap_atoms
        for part, one in zip(parts, sums, strict=True):
            # A product each: equal errors must give equal bits.
            part.append(Rmse(np.sqrt(counts @ one.energy / per_frame), np.sqrt(counts @ one.force / per_atom)))
    after, before, baseline = (_joined(part) for part in parts)
    return Draws(after, before if frames.before is not None else None, baseline)


class Evidence:
    """Intervals of a candidate's numbers; none where frames are too few, or their errors were not told."""

    def __init__(self, branches: Sequence[BranchManifest], sampling: Sampling) -> None:
        self._confidence = sampling.confidence
        self._draws = {
            one.name: drawn(one.name, one.held_out_frames, sampling)
            for one in branches
            if one.held_out_frames is not None and len(one.held_out_frames.atoms) >= LEAST_FRAMES
        }

    def force_rise(self, branch: str, *, from_baseline: bool = False) -> Interval | None:
        """Of the relative change of the force RMSE; +0.05 is 5 % worse."""
        draws = self._draws.get(branch)
        start = None if draws is None else draws.baseline if from_baseline else draws.before
        if draws is None or start is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._interval(draws.after.force / start.force - 1)

    def scores(self, branches: Sequence[str]) -> FloatArray | None:
        """E of the candidate on each draw; none unless every branch can be drawn."""
        return self._scores(branches, [self._draws[name].after for name in branches if name in self._draws])

    def scores_before(self, branches: Sequence[str]) -> FloatArray | None:
        """E of the parent on the same draws."""
        before = [self._draws[name].before for name in branches if name in self._draws]
        return self._scores(branches, [one for one in before if one is not None])

    def score(self, branches: Sequence[str]) -> Interval | None:
        scores = self.scores(branches)
        return None if scores is None else self._interval(scores)

    def score_rise(self, branches: Sequence[str]) -> Interval | None:
        """Of the relative change of E; +0.02 is 2 % worse."""
        after, before = self.scores(branches), self.scores_before(branches)
        if after is None or before is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._interval(after / before - 1)

    def _scores(self, branches: Sequence[str], errors: Sequence[Rmse]) -> FloatArray | None:
        if not branches or len(errors) != len(branches):
            return None
        scales = [self._draws[name].baseline for name in branches]
        with np.errstate(divide="ignore", invalid="ignore"):
            energy = np.stack([one.energy / scale.energy for one, scale in zip(errors, scales, strict=True)])
            force = np.stack([one.force / scale.force for one, scale in zip(errors, scales, strict=True)])
            means = [np.exp(np.mean(np.log(ratios), axis=0)) for ratios in (energy, force)]
        return np.asarray(0.5 * (means[0] + means[1]), dtype=np.float64)

    def _interval(self, values: FloatArray) -> Interval | None:
        # A draw of nothing but frames without any error has no ratio.
        finite = values[np.isfinite(values)]
        if 2 * finite.size < values.size:
            return None
        tail = (1 - self._confidence) / 2
        low, high = np.quantile(finite, [tail, 1 - tail])
        return Interval(float(low), float(high))


def _joined(parts: Sequence[Rmse]) -> Rmse:
    return Rmse(np.concatenate([one.energy for one in parts]), np.concatenate([one.force for one in parts]))


def _sums(errors: FrameErrors, atoms: FloatArray, heap: NDArray[np.int64]) -> Sums:
    energy = np.square(np.asarray(errors.energy_mev_per_atom, dtype=np.float64))
    force = np.square(np.asarray(errors.force_mev_per_angstrom, dtype=np.float64))
    return Sums(_by_heap(heap, energy), _by_heap(heap, atoms * force))


def _by_heap(heap: NDArray[np.int64], values: FloatArray) -> FloatArray:
    return np.asarray(np.bincount(heap, values), dtype=np.float64)
