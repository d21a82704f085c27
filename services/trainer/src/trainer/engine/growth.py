"""From the parent's checkpoint to one with the new branches, and what both know before the first step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from dpa.checkpoint import Checkpoint, branches, load
from dpa.predictor import Predictor
from dpa.surgery import CannotGrow, NewBranch, add_branches, case_dimension, remove_branches, shift_energies
from frames.errors import force_rmse
from frames.frame import FloatArray, Frame

from trainer.child import AttemptFailed
from trainer.engine.accuracy import Accuracy, measure
from trainer.engine.energies import by_symbol, energy_shift, shifted
from trainer.engine.frames import BranchFrames
from trainer.work import Work, WorkBranch

GROWN_FILE = "grown.pt"
DEEPMD = "deepmd-kit"


@dataclass(frozen=True, slots=True)
class Grown:
    """The checkpoint to start from and the errors before the first step, on all held-out frames.

    A new branch's start is not its nearest branch's prediction, and zero-shot is: what the metric told the contributor.
    """

    checkpoint: Path
    case_dimension: int
    zero_shot: dict[str, Accuracy]
    """Of the new branches: the parent's nearest one predicts, energies aligned on training frames."""
    start: dict[str, Accuracy]
    """Of the new branches as training begins."""
    parent_held_out: dict[str, Accuracy]
    """Of the old ones."""


def grow(work: Work, parent: Path, frames: dict[str, BranchFrames]) -> Grown:
    """Add the new branches, each with a neutral case and its energies aligned on its training frames.

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
        nearest = {branch.name: _nearest(branch, parent, old, frames[branch.name]) for branch in new}
        checkpoint = load(parent)
        remove_branches(checkpoint, left_out)
        add_branches(checkpoint, [one.branch for one in nearest.values()], work.preset.case_head_room)
    except ValueError as error:
        raise AttemptFailed("parent-unusable", f"the parent model cannot grow: {error}", retryable=False) from error
    grown = Path(GROWN_FILE)
    _align(checkpoint, grown, nearest, frames)
    before = {name: _accuracy(grown, frames[name]) for name in frames}
    return Grown(
        checkpoint=grown,
        case_dimension=case_dimension(checkpoint),
        zero_shot={name: one.zero_shot for name, one in nearest.items()},
        start={name: before[name] for name in nearest},
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


@dataclass(frozen=True, slots=True)
class _Nearest:
    """A branch to add; `shift_ev` [118] goes to what its nearest one predicts, eV per atom of each element."""

    branch: NewBranch
    shift_ev: FloatArray
    zero_shot: Accuracy


def _nearest(branch: WorkBranch, parent: Path, old: Sequence[str], frames: BranchFrames) -> _Nearest:
    sample = frames.train_sample
    name = branch.nearest
    if name is None or name not in old:
        name = nearest_branch(parent, old, sample)
    predictor = Predictor(parent, name)
    shift = energy_shift(predictor.predict(sample), sample, branch.energy_shift_ev)
    aligned = shifted(predictor.predict(frames.held_out), frames.held_out, shift)
    zero_shot = measure(branch.name, aligned, frames.held_out)
    return _Nearest(NewBranch(branch.name, name, branch.elements), shift, zero_shot)


def _align(
    checkpoint: Checkpoint, grown: Path, nearest: Mapping[str, _Nearest], frames: dict[str, BranchFrames]
) -> None:
    """Write the checkpoint with the energies of the new branches aligned by what they themselves predict.

    What the compositions leave open stays as it was aligned with the nearest branch, up to one common shift.
    """
    for name, one in nearest.items():
        shift_energies(checkpoint, name, by_symbol(one.shift_ev, one.branch.elements))
    torch.save(checkpoint, grown)
    for name, one in nearest.items():
        sample = frames[name].train_sample
        shift = energy_shift(Predictor(grown, name).predict(sample), sample, {})
        shift_energies(checkpoint, name, by_symbol(shift, one.branch.elements))
    torch.save(checkpoint, grown)


def nearest_branch(parent: Path, old: Sequence[str], sample: Sequence[Frame]) -> str:
    """The branch with the smallest force RMSE. A dataset that came before the first model has none from the metric."""
    forces = [frame.forces for frame in sample]
    return min(old, key=lambda name: force_rmse(Predictor(parent, name).predict(sample).forces, forces))
