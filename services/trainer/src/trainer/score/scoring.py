"""How good a published model is on standard frames: by its own branch, or by its nearest one."""

from collections.abc import Sequence
from pathlib import Path

from contracts.base import BranchError
from dpa.batches import Prediction
from dpa.checkpoint import branches
from dpa.predictor import Predictor
from frames.frame import Frame
from frames.store import NotADataset, iterate

from trainer.child import AttemptFailed
from trainer.engine.accuracy import measure
from trainer.engine.energies import energy_shift, shifted
from trainer.engine.frames import hashed, spaced
from trainer.engine.growth import nearest_branch
from trainer.work import SCORING_FILE, Scored, ScoringWork, StandardWork

ALIGNMENT_FRAMES = 200
"""Training frames of a dataset that the model has no branch of: its nearest branch and the shift are found on them."""


def score() -> Scored:
    """Of the work in the working directory. Raises AttemptFailed ('data-unreadable')."""
    work = ScoringWork.model_validate_json(Path(SCORING_FILE).read_text())
    return Scored(errors=tuple(_error(work.release, branch) for branch in work.branches))


def _error(release: Path, branch: StandardWork) -> BranchError:
    try:
        frames = _frames(branch)
        predicted = (
            Predictor(release, branch.own).predict(frames) if branch.own else _zero_shot(release, branch, frames)
        )
    except (NotADataset, ValueError) as error:
        reason = f"the model cannot be scored on the standard frames of branch {branch.name}: {error}"
        raise AttemptFailed("data-unreadable", reason, retryable=False) from error
    return measure(branch.name, predicted, frames).error


def _frames(branch: StandardWork) -> list[Frame]:
    wanted = {bytes.fromhex(one) for one in branch.frames}
    found = {name: frame for name, frame in hashed(branch.held_out) if name in wanted}
    if len(found) != len(wanted):
        raise ValueError(f"{len(wanted) - len(found)} of {len(wanted)} frames are not among the held-out ones")
    return [found[name] for name in sorted(found)]


def _zero_shot(release: Path, branch: StandardWork, frames: Sequence[Frame]) -> Prediction:
    """By the branch that is nearest on training frames, energies aligned on them: the test frames are for the test."""
    if branch.train is None:
        raise ValueError("it has no training frames to align energies on")
    left_out = set(branch.left_out_train)
    train = [frame for place, frame in enumerate(iterate(branch.train)) if place not in left_out]
    sample = spaced(train, ALIGNMENT_FRAMES)
    predictor = Predictor(release, nearest_branch(release, branches(release), sample))
    shift = energy_shift(predictor.predict(sample), sample, {})
    return shifted(predictor.predict(frames), frames, shift)
