"""How far structures lie from what the model was trained on, in the model's own descriptors of each atom.

Every element has its own yardstick: descriptors are standardised by those of the element's known environments, and
distances are divided by the usual distance of a known environment to its nearest one in another frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contracts.artifacts import Histogram, Novelty
from frames.frame import FloatArray, IntArray
from numpy.typing import NDArray

Descriptors = NDArray[np.float32]

ATOMS_PER_ELEMENT = 4000
FARTHEST = 100.0
"""Stands for every larger distance, and for a frame with an element that no training frame has."""
# A frame is as far as its farther atoms: a defect among many usual atoms counts, a single odd atom in a crowd does not.
_UPPER = 0.95
# What 99 of 100 training frames stay below is near, and so is anything within twice the usual distance.
_FAR_QUANTILE = 0.99
_FAR_AT_LEAST = 2.0
# Directions in which known environments hardly differ would make noise look new.
_LEAST_RELATIVE_SCALE = 0.02
_LEAST_SCALE = 1e-3
_LEAST_UNIT = 1e-3
_BLOCK = 512
_BINS_PER_DECADE = 10


@dataclass(frozen=True, slots=True)
class Environments:
    """Known environments of one element.

    points       float32 [m, d], standardised
    frames       int64 [m], number of the frame that each is from
    mean, scale  float64 [d], of the standardisation
    unit         median distance to the nearest environment in another frame
    """

    points: Descriptors
    frames: IntArray
    mean: FloatArray
    scale: FloatArray
    unit: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model was trained on.

    elements    atomic number → environments
    frame_unit  median over known frames of how far each is from the others, in units of its atoms
    far_above   distance of a frame above which it counts as far
    means       float32 [K, d], mean descriptor of each known frame, a sample
    """

    elements: dict[int, Environments]
    frame_unit: float
    far_above: float
    means: Descriptors


@dataclass(frozen=True, slots=True)
class Outline:
    """As much of a Reference as a report needs."""

    far_above: float
    means: Descriptors


@dataclass(frozen=True, slots=True)
class Closeness:
    """Of new frames: distance float64 [F], in units of that among training frames, inf where an element is unknown;
    means float32 [F, d], mean descriptor of each frame.
    """

    distance: FloatArray
    means: Descriptors


def chosen_atoms(numbers: Sequence[IntArray], seed: int, most: int = ATOMS_PER_ELEMENT) -> list[NDArray[np.bool_]]:
    """Which atoms of each frame become environments: at most `most` of each element, drawn with the seed."""
    flat = np.concatenate(numbers)
    chosen = np.zeros(len(flat), dtype=np.bool_)
    rng = np.random.default_rng(seed)
    for number in np.unique(flat):
        places = np.flatnonzero(flat == number)
        chosen[places if len(places) <= most else rng.choice(places, size=most, replace=False)] = True
    return np.split(chosen, np.cumsum([len(one) for one in numbers])[:-1])


def environments(points: Descriptors, frames: IntArray) -> Environments | None:
    """Of one element, from descriptors [m, d] and the frames that they are from; None when a single frame has it:
    then there is nothing to measure by.
    """
    finite = np.isfinite(points).all(axis=1)
    points, frames = points[finite], frames[finite]
    if len(np.unique(frames)) < 2:
        return None
    exact = points.astype(np.float64)
    mean, spread = exact.mean(axis=0), exact.std(axis=0)
    typical = float(np.sqrt(np.mean(spread**2)))
    scale = np.maximum(spread, max(_LEAST_RELATIVE_SCALE * typical, _LEAST_SCALE))
    standard = ((exact - mean) / scale).astype(np.float32)
    known = Environments(standard, frames, mean, scale, 1.0)
    unit = float(np.median(_nearest(known, standard.astype(np.float64), frames)))
    # Of perfect crystals alone every environment is the same, and what is measured is rounding.
    least = _LEAST_UNIT * float(np.sqrt(points.shape[1]))
    return Environments(standard, frames, mean, scale, max(unit, least))


def atom_distances(
    elements: dict[int, Environments],
    numbers: Sequence[IntArray],
    descriptors: Sequence[Descriptors],
    own: Sequence[int] | None = None,
) -> list[FloatArray]:
    """Distance of each atom to the nearest known environment of its element, in that element's unit: one float64 [n]
    a frame, inf for an element without any. `own` are the numbers of known frames: each is held against the others.
    """
    sizes = [len(one) for one in numbers]
    flat, points = np.concatenate(numbers), np.concatenate(descriptors)
    frame = np.repeat(own, sizes) if own is not None else None
    distance = np.full(len(flat), np.inf)
    for number in np.unique(flat):
        known = elements.get(int(number))
        if known is not None:
            rows = flat == number
            standard = (points[rows].astype(np.float64) - known.mean) / known.scale
            nearest = _nearest(known, standard, frame[rows] if frame is not None else None)
            distance[rows] = np.where(np.isfinite(nearest), nearest / known.unit, np.inf)
    return np.split(distance, np.cumsum(sizes)[:-1])


def frame_distance(atoms: FloatArray) -> float:
    """Of one frame, from the distances [n] of its atoms: the 95th percentile, of fewer than twenty the largest."""
    return float(np.quantile(atoms, _UPPER, method="higher"))


def reference(elements: dict[int, Environments], probes: Sequence[FloatArray], means: Descriptors) -> Reference:
    """`probes`: atom distances of known frames, each held against the others."""
    usual = np.array([frame_distance(atoms) for atoms in probes])
    usual = usual[np.isfinite(usual)]
    unit = max(float(np.median(usual)), 1e-6) if len(usual) else 1.0
    far = float(np.quantile(usual / unit, _FAR_QUANTILE)) if len(usual) else _FAR_AT_LEAST
    return Reference(elements, unit, min(max(far, _FAR_AT_LEAST), FARTHEST / 2), means)


def closeness(known: Reference, numbers: Sequence[IntArray], descriptors: Sequence[Descriptors]) -> Closeness:
    """Of new frames."""
    atoms = atom_distances(known.elements, numbers, descriptors)
    distance = np.array([frame_distance(one) for one in atoms]) / known.frame_unit
    return Closeness(distance, mean_descriptors(descriptors))


def mean_descriptors(descriptors: Sequence[Descriptors]) -> Descriptors:
    """float32 [F, d]: of each frame, over its atoms."""
    return np.stack([one.mean(axis=0, dtype=np.float64) for one in descriptors]).astype(np.float32)


def told(distance: float) -> float:
    """A distance as reports have it: at most FARTHEST, four digits."""
    return float(f"{min(distance, FARTHEST):.4g}")


def summary(distance: FloatArray, far_above: float) -> Novelty:
    """Of the judged frames [F], at least one; distances above FARTHEST count as FARTHEST."""
    shown = np.minimum(distance, FARTHEST)
    return Novelty(
        median=told(float(np.median(shown))),
        percentile_95=told(float(np.quantile(shown, 0.95, method="higher"))),
        far_fraction=float(np.mean(distance > far_above)),
        far_above=told(far_above),
        unknown_element_frames=int(np.isinf(distance).sum()),
        histogram=_histogram(shown),
    )


def _nearest(known: Environments, points: FloatArray, own: IntArray | None) -> FloatArray:
    """Euclidean distance [a] of standardised `points` [a, d] to the nearest known one; with `own` [a] to the nearest in
    another frame than that. In blocks: memory is bounded by a block's rows times the known environments.
    """
    others = known.points.astype(np.float64)
    squares = np.einsum("md,md->m", others, others)
    found = np.full(len(points), np.inf)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        squared = np.einsum("ad,ad->a", block, block)[:, None] + squares - 2 * block @ others.T
        if own is not None:
            squared[own[start : start + _BLOCK, None] == known.frames] = np.inf
        found[start : start + _BLOCK] = np.sqrt(np.maximum(squared.min(axis=1), 0))
    return found


def _histogram(distance: FloatArray) -> Histogram:
    """In tenths of a decade from a tenth of the usual distance, or less where one is nearer, up to FARTHEST."""
    low = min(-1.0, np.floor(np.log10(max(float(distance.min()), 1e-3)) * _BINS_PER_DECADE) / _BINS_PER_DECADE)
    steps = round((np.log10(FARTHEST) - low) * _BINS_PER_DECADE)
    edges = np.logspace(low, np.log10(FARTHEST), steps + 1)
    edges[-1] = FARTHEST
    bins = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, steps - 1)
    counts = np.bincount(bins, minlength=steps)
    return Histogram(edges=tuple(float(f"{edge:.6g}") for edge in edges), counts=tuple(map(int, counts)))
