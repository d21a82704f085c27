"""Known and new frames in a plane: the two directions in which their mean descriptors differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from contracts.artifacts import DescriptorMap, MapPoint, Novelty
from frames.frame import FloatArray, IntArray

from metric.domain.novelty import Closeness, Descriptors, Outline, summary, told

POINTS = 1000
_LEAST_SCALE = 1e-6
_LEAST_RELATIVE_SCALE = 0.05
Place = tuple[Literal["train", "held-out"], int]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the judged frames [F] lie among the training frames; `distance` as FrameVerdict has it."""

    distance: tuple[float, ...]
    novelty: Novelty
    map: DescriptorMap


def placed(close: Closeness, known: Outline, keep: Sequence[int], places: Sequence[Place], seed: int) -> Placed:
    """Of the predicted frames those at `keep`, at least one; `places` say which frames of the dataset they are."""
    distance = close.distance[list(keep)]
    return Placed(
        distance=tuple(told(float(one)) for one in distance),
        novelty=summary(distance, known.far_above),
        map=descriptor_map(known.means, close.means[list(keep)], places, seed),
    )


def descriptor_map(known: Descriptors, new: Descriptors, places: Sequence[Place], seed: int) -> DescriptorMap:
    """known [K, d] and new [F, d] mean descriptors; `places` say which frame each new one is.

    Principal components of both, in units of how known frames spread, each side with half the weight: a small dataset
    is seen beside a large one. Signs are fixed: along each axis the component of largest weight counts up. At most
    POINTS of each side; known ones without a word on where they are from.
    """
    rng = np.random.default_rng(seed)
    shown_known, shown_new = _sample(len(known), rng), _sample(len(new), rng)
    both = np.concatenate([known, new]).astype(np.float64)
    weights = np.concatenate([_share(len(known), len(new)), _share(len(new), len(known))])
    centre = weights @ both
    scale = _scale(known.astype(np.float64), np.sqrt(weights @ (both - centre) ** 2))
    axes, explained = _principal((both - centre) / scale, weights)
    places_known = (known[shown_known] - centre) / scale @ axes
    places_new = (new[shown_new] - centre) / scale @ axes
    return DescriptorMap(
        known=tuple(MapPoint(x=_told(x), y=_told(y)) for x, y in places_known),
        new=tuple(
            MapPoint(x=_told(x), y=_told(y), split=places[row][0], index=places[row][1])
            for row, (x, y) in zip(shown_new, places_new, strict=True)
        ),
        explained=explained,
    )


def _sample(count: int, rng: np.random.Generator) -> IntArray:
    return np.arange(count) if count <= POINTS else np.sort(rng.choice(count, size=POINTS, replace=False))


def _share(mine: int, others: int) -> FloatArray:
    """Weight of each of `mine`, which together have one half, or all when there are no others."""
    return np.full(mine, (0.5 if others else 1.0) / max(mine, 1))


def _scale(known: FloatArray, spread: FloatArray) -> FloatArray:
    """Per component [d]: the spread of known frames, but no less than a part of that of all, `spread`; infinite where
    nothing differs.
    """
    own = known.std(axis=0) if len(known) > 1 else spread
    return np.where(spread > _LEAST_SCALE, np.maximum(own, _LEAST_RELATIVE_SCALE * spread), np.inf)


def _principal(standard: FloatArray, weights: FloatArray) -> tuple[FloatArray, tuple[float, float]]:
    """Axes [d, 2] of centred points [P, d], and what part of the variance each explains."""
    values, vectors = np.linalg.eigh((standard * weights[:, None]).T @ standard)
    # A descriptor of one number has one axis; the other stays empty.
    count = min(2, len(values))
    axes = np.zeros((standard.shape[1], 2))
    axes[:, :count] = vectors[:, ::-1][:, :count]
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]
    axes *= np.where(largest < 0, -1.0, 1.0)
    shares = np.zeros(2)
    total = float(values.sum())
    if total > 0:
        shares[:count] = np.clip(values[::-1][:count] / total, 0, 1)
    return axes, (_told(shares[0]), _told(shares[1]))


def _told(value: float) -> float:
    """Four digits: enough to draw; adding zero turns −0.0 into 0.0."""
    return float(f"{value:.4g}") + 0.0
