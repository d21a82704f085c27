"""The frames of an attempt, as the engine needs them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from frames.frame import Frame
from frames.hashing import frame_hashes
from frames.store import NotADataset, iterate, write

from trainer.child import AttemptFailed
from trainer.engine.capacity import Largest, largest
from trainer.work import WorkBranch

Read = TypeVar("Read")
_HASHED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class BranchFrames:
    """`train` is the LMDB folder that deepmd reads; `train_sample` at most so many of its frames, evenly spaced.

    sampled   where those are in the dataset's own LMDB, which has frames that were left out too
    hashes    of the held-out frames
    seen      indices of held-out frames that were among the training frames of any branch of this round
    left_out  how many training frames were left out because they are test frames
    largest   the frame, of all of them, with the most pairs
    """

    name: str
    train: Path
    train_sample: list[Frame]
    sampled: tuple[int, ...]
    held_out: list[Frame]
    hashes: tuple[bytes, ...]
    seen: tuple[int, ...]
    left_out: int
    largest: Largest


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """`every`: hashes of failed frames too: they test nothing, and nobody trains on them either."""

    frames: list[Frame]
    hashes: tuple[bytes, ...]
    every: frozenset[bytes]


def load(
    branches: Sequence[WorkBranch], sample: int, standard: Collection[bytes], cutoff: float
) -> dict[str, BranchFrames]:
    """Read the branches without the frames that the metric failed, and without test frames in training.

    A test frame is one of the standard dataset or one that any branch holds out: it is found by the hash of the bytes
    that are read here, whatever was promised before. `cutoff` is the descriptor's, Å.
    Raises AttemptFailed ('data-unreadable').
    """
    held_out = {branch.name: _readable(branch, _held_out) for branch in branches}
    tests = frozenset(standard).union(*(one.every for one in held_out.values()))
    kept = {branch.name: _readable(branch, lambda one: _kept_train(one, tests, sample, cutoff)) for branch in branches}
    seen = frozenset[bytes]().union(*(one.found for one in kept.values()))
    return {
        name: BranchFrames(
            name=name,
            train=kept[name].folder,
            train_sample=kept[name].sample,
            sampled=kept[name].sampled,
            held_out=one.frames,
            hashes=one.hashes,
            seen=tuple(index for index, hashed in enumerate(one.hashes) if hashed in seen),
            left_out=kept[name].left_out,
            largest=max(kept[name].largest, largest(one.frames, cutoff), key=lambda frame: frame.pairs),
        )
        for name, one in held_out.items()
    }


def hashed(folder: Path) -> Iterator[tuple[bytes, Frame]]:
    """Every frame of an LMDB with its hash, in order. Raises NotADataset."""
    frames = iterate(folder)
    while piece := list(islice(frames, _HASHED_AT_ONCE)):
        yield from zip(frame_hashes(piece), piece, strict=True)


def spaced(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most `most` frames, evenly spaced."""
    wanted = _spaced_positions(len(frames), most)
    return [frame for position, frame in enumerate(frames) if position in wanted]


@dataclass(frozen=True, slots=True)
class _Kept:
    """`found`: hashes of the test frames that were among the training frames."""

    folder: Path
    sample: list[Frame]
    sampled: tuple[int, ...]
    found: frozenset[bytes]
    left_out: int
    largest: Largest


def _readable(branch: WorkBranch, read: Callable[[WorkBranch], Read]) -> Read:
    try:
        return read(branch)
    except (NotADataset, ValueError) as error:
        reason = f"dataset of branch {branch.name} cannot be used for training: {error}"
        raise AttemptFailed("data-unreadable", reason, retryable=False) from error


def _kept_train(branch: WorkBranch, tests: Collection[bytes], sample: int, cutoff: float) -> _Kept:
    failed, told = set(branch.left_out_train), set(branch.test_frames)
    count, most = 0, Largest(0, 0)
    found, left_out = set[bytes](), set[int]()
    for place, (name, frame) in enumerate(hashed(branch.train)):
        count += 1
        most = max(most, largest([frame], cutoff), key=lambda one: one.pairs)
        if name in tests:
            found.add(name)
        if name in tests or place in told:
            left_out.add(place)
    folder, dropped = branch.train, failed | left_out
    places = [place for place in range(count) if place not in dropped]
    if dropped:
        if len(dropped) >= count:
            without = f"{len(left_out)} of {count} test the model, {len(failed - left_out)} did not pass the checks"
            raise ValueError(f"none of its training frames is left: {without}")
        folder = branch.train.with_name(f"kept-{branch.train.name}")
        write(folder, (frame for place, frame in enumerate(iterate(branch.train)) if place not in dropped))
    wanted = _spaced_positions(len(places), sample)
    return _Kept(
        folder=folder,
        sample=[frame for position, frame in enumerate(iterate(folder)) if position in wanted],
        sampled=tuple(place for position, place in enumerate(places) if position in wanted),
        found=frozenset(found),
        left_out=len(left_out),
        largest=most,
    )


def _held_out(branch: WorkBranch) -> _HeldOut:
    left_out = set(branch.left_out_held_out)
    every = list(hashed(branch.held_out))
    kept = [one for position, one in enumerate(every) if position not in left_out]
    if not kept:
        raise ValueError("none of its held-out frames passed the checks, so nothing can be measured on it")
    names = tuple(name for name, _ in kept)
    return _HeldOut([frame for _, frame in kept], names, frozenset(name for name, _ in every))


def _spaced_positions(count: int, most: int) -> set[int]:
    if count <= most:
        return set(range(count))
    return {position * count // most for position in range(most)}
