"""The frames of an attempt, as the engine needs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from frames.frame import Frame
from frames.store import NotADataset, iterate, write

from trainer.child import AttemptFailed
from trainer.work import WorkBranch


@dataclass(frozen=True, slots=True)
class BranchFrames:
    """`train` is the LMDB folder that deepmd reads; `train_sample` at most so many of its frames, evenly spaced."""

    name: str
    train: Path
    train_sample: list[Frame]
    held_out: list[Frame]

    @property
    def force_rms(self) -> float:
        """Root mean square of the force components of the sample, eV/Å; what is no number does not count."""
        forces = np.concatenate([frame.forces for frame in self.train_sample])
        forces = forces[np.isfinite(forces)]
        return float(np.sqrt(np.mean(forces**2))) if forces.size else 0.0


def load(branch: WorkBranch, sample: int) -> BranchFrames:
    """Read a branch without the frames that the metric failed. Raises AttemptFailed ('data-unreadable')."""
    try:
        train, count = _kept_train(branch)
        return BranchFrames(
            name=branch.name,
            train=train,
            train_sample=list(_spaced_iterate(train, count, sample)),
            held_out=_kept(branch.held_out, branch.left_out_held_out),
        )
    except (NotADataset, ValueError) as error:
        reason = f"dataset of branch {branch.name} cannot be used for training: {error}"
        raise AttemptFailed("data-unreadable", reason, retryable=False) from error


def spaced(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most `most` frames, evenly spaced."""
    wanted = _spaced_positions(len(frames), most)
    return [frame for position, frame in enumerate(frames) if position in wanted]


def _kept_train(branch: WorkBranch) -> tuple[Path, int]:
    left_out = set(branch.left_out_train)
    count = sum(1 for _ in iterate(branch.train))
    if not left_out:
        return branch.train, count
    kept = branch.train.with_name(f"kept-{branch.train.name}")
    return kept, write(kept, (frame for i, frame in enumerate(iterate(branch.train)) if i not in left_out))


def _kept(folder: Path, left_out: Sequence[int]) -> list[Frame]:
    kept = [frame for position, frame in enumerate(iterate(folder)) if position not in set(left_out)]
    if not kept:
        raise ValueError("none of its held-out frames passed the checks, so nothing can be measured on it")
    return kept


def _spaced_iterate(folder: Path, count: int, most: int) -> list[Frame]:
    wanted = _spaced_positions(count, most)
    return [frame for position, frame in enumerate(iterate(folder)) if position in wanted]


def _spaced_positions(count: int, most: int) -> set[int]:
    if count <= most:
        return set(range(count))
    return {position * count // most for position in range(most)}
