"""From the parent's checkpoint to one with the new branches, and what both know before the first step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from dpa.checkpoint import Checkpoint, branches, load
from dpa.predictor import Predictor
from dpa.surgery import CannotGrow, NewBranch, add_branches, case_dimension, remove_branches
from frames.align import align_energies
from frames.errors import force_rmse
from frames.frame import SYMBOLS, FloatArray, Frame, element_counts

from trainer.child import AttemptFailed
from trainer.engine.accuracy import Accuracy, measure
from trainer.engine.frames import BranchFrames
from trainer.work import Work, WorkBranch

GROWN_FILE = "grown.pt"
DEEPMD = "deepmd-kit"


@dataclass(frozen=True, slots=True)
class Grown:
    """The checkpoint to start from and the errors before the first step, on all held-out frames."""

    checkpoint: Path
    case_dimension: int
    zero_shot: dict[str, Accuracy]
    """Of the new branches."""
    parent_held_out: dict[str, Accuracy]
    """Of the old ones."""


def grow(work: Work, parent: Path, frames: dict[str, BranchFrames]) -> Grown:
    """Add the new branches, each a copy of its nearest with its energies aligned on its training frames.

    Branches whose datasets were withdrawn are removed first.
    Raises AttemptFailed ('parent-unusable').
    """
    old = [branch.name for branch in work.branches if not branch.is_new]
    new = [branch for branch in work.branches if branch.is_new]
    try:
        have = branches(parent)
        left_out = [name for name in have if name in work.left_out_branches]
        if [name for name in have if name not in left_out] != old or len(left_out) != len(work.left_out_branches):
            without = f" and leaves out {', '.join(work.left_out_branches)}" if work.left_out_branches else ""
            raise CannotGrow(f"the parent has branches {', '.join(have)}; the round expects {', '.join(old)}{without}")
        wanted = [_aligned(branch, parent, old, frames[branch.name]) for branch in new]
        checkpoint = load(parent)
        remove_branches(checkpoint, left_out)
        add_branches(checkpoint, wanted, work.preset.case_head_room)
    except ValueError as error:
        raise AttemptFailed("parent-unusable", f"the parent model cannot grow: {error}", retryable=False) from error
    grown = Path(GROWN_FILE)
    torch.save(checkpoint, grown)
    before = {name: _accuracy(grown, frames[name]) for name in frames}
    return Grown(
        checkpoint=grown,
        case_dimension=case_dimension(checkpoint),
        zero_shot={branch.name: before[branch.name] for branch in new},
        parent_held_out={name: before[name] for name in old},
    )


def check_software(work: Work) -> None:
    """What one version of deepmd-kit wrote another may read in its own way. The registry asks the same before a lease.

    A preset that pins a version does so on purpose. Raises AttemptFailed ('software-mismatch').
    """
    pinned, trained, here = work.preset.needs.deepmd, work.parent_software.get(DEEPMD), version(DEEPMD)
    if (pinned or trained) in (None, here):
        return
    model = f"model {work.parent_version}" if work.parent_version else "the parent model"
    asked = f"preset {work.preset.name} asks for" if pinned else f"{model} was trained with"
    raise AttemptFailed(
        "software-mismatch",
        f"{asked} {DEEPMD} {pinned or trained}, and this worker has {here}: install that version here, or pin another "
        "in the preset's needs",
        retryable=True,
    )


def described(checkpoint: Checkpoint) -> dict[str, object]:
    """Descriptor and fitting net of the first branch: the architecture that all branches share."""
    declared: dict[str, dict[str, object]] = checkpoint["model"]["_extra_state"]["model_params"]["model_dict"]
    return next(iter(declared.values()))


def _accuracy(model: Path, frames: BranchFrames) -> Accuracy:
    prediction = Predictor(model, frames.name).predict(frames.held_out)
    return measure(frames.name, prediction, frames.held_out)


def _aligned(branch: WorkBranch, parent: Path, old: Sequence[str], frames: BranchFrames) -> NewBranch:
    sample = frames.train_sample
    nearest = branch.nearest
    if nearest is None or nearest not in old:
        nearest = nearest_branch(parent, old, sample)
    shift = energy_shift(Predictor(parent, nearest), sample, branch.energy_shift_ev)
    return NewBranch(
        name=branch.name,
        nearest=nearest,
        energy_shift_ev={symbol: float(shift[SYMBOLS.index(symbol)]) for symbol in branch.elements},
        elements=branch.elements,
    )


def energy_shift(predictor: Predictor, sample: Sequence[Frame], start_ev: Mapping[str, float]) -> FloatArray:
    """To add to the prediction: float64 [118], eV per atom of each element.

    Where the compositions leave it open, it stays near `start_ev`, or near one common shift.
    """
    missing = np.array([frame.energy for frame in sample]) - predictor.predict(sample).energy
    counts = element_counts(sample)
    common = float(np.mean(missing / counts.sum(axis=1)))
    start = np.array([start_ev.get(symbol, common) for symbol in SYMBOLS])
    return start + align_energies(counts, missing - counts @ start).shift


def nearest_branch(parent: Path, old: Sequence[str], sample: Sequence[Frame]) -> str:
    """The branch with the smallest force RMSE. A dataset that came before the first model has none from the metric."""
    forces = [frame.forces for frame in sample]
    return min(old, key=lambda name: force_rmse(Predictor(parent, name).predict(sample).forces, forces))
