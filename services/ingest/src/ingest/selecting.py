"""Which frames a dataset keeps, which of them it holds out, and what other datasets have to say in it. Pure rules."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from contracts.artifacts import OverlappingFrames, Run, SharedFrames
from contracts.base import DatasetRef, Overlap
from frames.frame import IntArray
from frames.hashing import HashArray, content_sha256, first_of_each
from frames.split import held_out_mask
from numpy.typing import NDArray

from ingest.confined.marks import HELD_OUT, KEPT, KNOWN

KEY_BYTES = 16
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset version whose frames are known. Only public ones and the contributor's own are ever named.

    `withdrawn`: its contributor took it back. Models were trained on it, so it decides over the split all the same.
    """

    dataset: DatasetRef
    owner_id: UUID
    private: bool
    title: str
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """Frames (indices) of a new dataset that one known dataset version also has, held out there or trained on."""

    source: int
    held_out: bool
    places: IntArray


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the other datasets say about the frames of a new one; a flag a frame, [n].

    held_out  another dataset, or another version of this one, holds the frame out
    trained   … trains on it
    known     a dataset that may be named has it
    shared    which dataset version that is, and its frames (indices), ascending
    standard_frames  frames that a dataset that may be named holds out
    until     the newest dataset version that was asked
    standard  the version of the standard dataset that was asked; its frames are held out, whoever brought them
    """

    held_out: Flags
    trained: Flags
    known: Flags
    overlaps: tuple[Overlap, ...] = ()
    standard_frames: int = 0
    until: int = 0
    standard: int = 0
    shared: tuple[tuple[DatasetRef, IntArray], ...] = ()


Ask = Callable[[HashArray], Awaitable[Elsewhere]]


async def nothing_known(hashes: HashArray) -> Elsewhere:
    """The answer where there are no other datasets."""
    return elsewhere(len(hashes), [], {}, None, None, 0)


def elsewhere(
    frames: int,
    hits: list[Hit],
    sources: Mapping[int, Source],
    dataset: DatasetRef | None,
    owner_id: UUID | None,
    until: int,
    standard: int = 0,
    standard_places: Sequence[int] | IntArray = (),
) -> Elsewhere:
    """Sum up for the dataset of that owner what the known dataset versions have in common with it.

    standard_places: frames (indices) that are in version `standard` of the standard dataset. They decide over the
    split alone: some are those of private datasets, so they are neither counted nor marked.
    """
    held_out, trained, known, named = (np.zeros(frames, dtype=np.bool_) for _ in range(4))
    places: dict[int, list[IntArray]] = {}
    for hit in hits:
        source = sources[hit.source]
        (held_out if hit.held_out else trained)[hit.places] = True
        if dataset is not None and source.dataset.dataset_id == dataset.dataset_id:
            continue
        if source.withdrawn or (source.private and source.owner_id != owner_id):
            continue
        known[hit.places] = True
        if hit.held_out:
            named[hit.places] = True
        places.setdefault(hit.source, []).append(hit.places)
    shared = {number: np.sort(np.concatenate(found)) for number, found in places.items()}
    held_out[np.asarray(standard_places, dtype=np.int64)] = True
    return Elsewhere(
        held_out=held_out,
        trained=trained,
        known=known,
        overlaps=_overlaps({number: len(found) for number, found in shared.items()}, sources),
        standard_frames=int(named.sum()),
        until=until,
        standard=standard,
        shared=tuple((sources[number].dataset, shared[number]) for number in sorted(shared)),
    )


def _overlaps(counts: Mapping[int, int], sources: Mapping[int, Source]) -> tuple[Overlap, ...]:
    """One for each dataset, that of the version with most frames in common; most frames first."""
    best: dict[UUID, tuple[int, int, int]] = {}
    for number, count in counts.items():
        ref = sources[number].dataset
        best[ref.dataset_id] = max(best.get(ref.dataset_id, (0, 0, 0)), (count, ref.version, number))
    ranked = sorted(best.values(), key=lambda one: (-one[0], one[2]))
    return tuple(
        Overlap(dataset=sources[number].dataset, title=sources[number].title, frames=count)
        for count, _, number in ranked
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """The frames of a dataset: different from each other, in the order in which they were read.

    hashes    uint8 [n, 32]
    held_out  [n]
    marks     what assembling is to do with each frame that was read, duplicates included: a byte each
    """

    hashes: HashArray
    held_out: Flags
    marks: bytes
    elsewhere: Elsewhere

    @property
    def frames(self) -> int:
        return len(self.hashes)

    @property
    def held_out_frames(self) -> int:
        return int(self.held_out.sum())

    @property
    def train_frames(self) -> int:
        return self.frames - self.held_out_frames

    @property
    def duplicate_frames(self) -> int:
        return len(self.marks) - self.frames

    @property
    def in_file_order(self) -> HashArray:
        """Hashes of the training frames in the order of their LMDB, then of the held-out ones, [n, 32]."""
        return np.concatenate([self.hashes[~self.held_out], self.hashes[self.held_out]])

    @property
    def content_sha256(self) -> str:
        return content_sha256(self.hashes)


def overlapping(selection: Selection) -> OverlappingFrames | None:
    """Which of the frames each dataset that may be named holds, by their positions in the two LMDB files."""
    if not selection.elsewhere.shared:
        return None
    held_out = selection.held_out
    # In its file a frame comes after those of its split that were read before it.
    place = np.where(held_out, np.cumsum(held_out), np.cumsum(~held_out)) - 1
    return OverlappingFrames(
        shared=tuple(
            SharedFrames(
                dataset=dataset,
                train=_runs(place[found[~held_out[found]]]),
                held_out=_runs(place[found[held_out[found]]]),
            )
            for dataset, found in selection.elsewhere.shared
        )
    )


def _runs(positions: IntArray) -> tuple[Run, ...]:
    """Ascending positions as runs: frames of a trajectory mostly follow each other."""
    pieces = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
    return tuple((int(piece[0]), len(piece)) for piece in pieces if len(piece))


async def select(read: HashArray, ask: Ask) -> Selection:
    """Decide over every frame that was read, [m, 32]: the first of equal ones is kept."""
    # In threads: millions of frames take seconds.
    first = await asyncio.to_thread(first_of_each, read)
    hashes = np.ascontiguousarray(read[first])
    others = await ask(hashes)
    held_out = await asyncio.to_thread(held_out_mask, hashes, others.held_out, others.trained)
    marks = np.zeros(len(read), dtype=np.uint8)
    marks[first] = KEPT + HELD_OUT * held_out + KNOWN * others.known
    return Selection(hashes, held_out, marks.tobytes(), others)


def overtaken(selection: Selection, newer: list[Hit], standard_places: Sequence[int] | IntArray = ()) -> bool:
    """Whether datasets that were kept since then, or a newer standard dataset, make another selection necessary.

    It is when one holds out what this one trains on, or trains on what this one holds out.
    standard_places: frames (indices) that are in the current standard dataset.
    """
    if not selection.held_out[np.asarray(standard_places, dtype=np.int64)].all():
        return True
    return any(bool((selection.held_out[hit.places] != hit.held_out).any()) for hit in newer)
