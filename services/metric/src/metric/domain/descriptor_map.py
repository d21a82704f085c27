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

    Principal components of both, standardised, each side with half the weight: a small dataset is seen beside a large
    one. Signs are fixed: along each axis the component of largest weight counts up. At most POINTS of each side;
    known ones without a word on where they are from.
    """
    rng = np.random.default_rng(seed)
    shown_known, shown_new = _sample(len(known), rng), _sample(len(new), rng)
    both = np.concatenate([known, new]).astype(np.float64)
    weights = np.concatenate([_share(len(known), len(new)), _share(len(new), len(known))])
    axes, explained, centre, scale = _principal(both, weights)
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


def _principal(
    points: FloatArray, weights: FloatArray
) -> tuple[FloatArray, tuple[float, float], FloatArray, FloatArray]:
    """Axes [d, 2], what part of the variance each explains, and centre [d] and scale [d] of the standardisation."""
    centre = weights @ points
    spread = np.sqrt(weights @ (points - centre) ** 2)
    scale = np.where(spread > _LEAST_SCALE, spread, np.inf)
    standard = (points - centre) / scale
    values, vectors = np.linalg.eigh((standard * weights[:, None]).T @ standard)
    # A descriptor of one number has one axis; the other stays empty.
    wide = np.zeros((len(centre), 2))
    wide[:, : min(2, len(values))] = vectors[:, ::-1][:, :2]
    largest = wide[np.abs(wide).argmax(axis=0), [0, 1]]
    wide *= np.where(largest < 0, -1.0, 1.0)
    shares = np.zeros(2)
    total = float(values.sum())
    if total > 0:
        shares[: min(2, len(values))] = np.clip(values[::-1][:2] / total, 0, 1)
    return wide, (_told(shares[0]), _told(shares[1])), centre, scale


def _told(value: float) -> float:
    """Four digits: enough to draw; adding zero turns −0.0 into 0.0."""
    return float(f"{value:.4g}") + 0.0
