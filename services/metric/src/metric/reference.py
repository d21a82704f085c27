"""A model's training frames as its descriptors see them: worked out once, kept in one file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from frames.frame import Frame, IntArray

from metric.domain.novelty import (
    Descriptors,
    Environments,
    Outline,
    Reference,
    atom_distances,
    chosen_atoms,
    environments,
    mean_descriptors,
    reference,
)

if TYPE_CHECKING:
    from dpa.predictor import Predictor

# Known points on the map, and known frames that are held against the others to learn what is usual.
_SHOWN = 1000
_PROBES = 300
_CHUNK_ATOMS = 4096


def learn(predictor: "Predictor", frames: Sequence[Frame], seed: int) -> Reference:
    """Two passes over the frames; memory holds the chosen environments and one part of the frames at a time."""
    rng = np.random.default_rng(seed)
    chosen = chosen_atoms([frame.numbers for frame in frames], seed)
    points: list[Descriptors] = []
    numbers: list[IntArray] = []
    origins: list[IntArray] = []
    means: list[Descriptors] = []
    for positions, descriptors in _described(predictor, frames, range(len(frames))):
        means.append(mean_descriptors(descriptors))
        for position, one in zip(positions, descriptors, strict=True):
            points.append(one[chosen[position]])
            numbers.append(frames[position].numbers[chosen[position]])
            origins.append(np.full(len(points[-1]), position, dtype=np.int64))
    elements = _elements(np.concatenate(points), np.concatenate(numbers), np.concatenate(origins))
    probes = []
    for positions, descriptors in _described(predictor, frames, _drawn(rng, len(frames), _PROBES)):
        probes += atom_distances(elements, [frames[position].numbers for position in positions], descriptors, positions)
    every = np.concatenate(means)
    every = every[np.isfinite(every).all(axis=1)]
    return reference(elements, probes, every[_drawn(rng, len(every), _SHOWN)])


def save(known: Reference, path: Path) -> None:
    """Whole or not at all, whoever else writes the same."""
    numbers = list(known.elements)
    every = list(known.elements.values())
    arrays: dict[str, Any] = {
        "numbers": np.array(numbers, dtype=np.int64),
        "sizes": np.array([len(one.points) for one in every], dtype=np.int64),
        "units": np.array([one.unit for one in every]),
        "usual": np.array([known.frame_unit, known.far_above]),
        "map_means": known.means,
    }
    if every:
        arrays |= {
            "points": np.concatenate([one.points for one in every]),
            "frames": np.concatenate([one.frames for one in every]),
            "means": np.stack([one.mean for one in every]),
            "scales": np.stack([one.scale for one in every]),
        }
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> Reference:
    """What `save` wrote. Raises FileNotFoundError."""
    with np.load(path, allow_pickle=False) as kept:
        ends = np.cumsum(kept["sizes"])
        elements = {}
        for row, number in enumerate(kept["numbers"]):
            part = slice(ends[row] - kept["sizes"][row], ends[row])
            elements[int(number)] = Environments(
                kept["points"][part],
                kept["frames"][part],
                kept["means"][row],
                kept["scales"][row],
                float(kept["units"][row]),
            )
        frame_unit, far_above = map(float, kept["usual"])
        return Reference(elements, frame_unit, far_above, kept["map_means"])


def outline(path: Path) -> Outline:
    """What a report needs of it: the environments stay on disk. Raises FileNotFoundError."""
    with np.load(path, allow_pickle=False) as kept:
        return Outline(float(kept["usual"][1]), kept["map_means"])


def _described(
    predictor: "Predictor", frames: Sequence[Frame], wanted: Sequence[int] | IntArray
) -> Iterator[tuple[list[int], list[Descriptors]]]:
    """Descriptors of the wanted frames, part by part."""
    part: list[int] = []
    atoms = 0
    for position in (*wanted, None):
        if part and (position is None or atoms + frames[position].natoms > _CHUNK_ATOMS):
            found = predictor.predict([frames[one] for one in part], descriptors=True).descriptors
            if found is None:
                raise RuntimeError("the model gives no descriptors")
            yield part, found
            part, atoms = [], 0
        if position is not None:
            part.append(int(position))
            atoms += frames[position].natoms


def _elements(points: Descriptors, numbers: IntArray, origins: IntArray) -> dict[int, Environments]:
    found = {}
    for number in np.unique(numbers):
        rows = numbers == number
        known = environments(points[rows], origins[rows])
        if known is not None:
            found[int(number)] = known
    return found


def _drawn(rng: np.random.Generator, count: int, most: int) -> IntArray:
    return np.arange(count) if count <= most else np.sort(rng.choice(count, size=most, replace=False))
