"""What Adam knows of the parent's weights, for the grown model.

A fresh optimizer takes steps of the full learning rate for every weight until it has seen its gradients, and so shakes
what the parent has learned. The parent's moments give each weight the step that fits it from the first one on.
"""

from typing import Any

import torch
from dpa.checkpoint import Checkpoint
from torch.nn.functional import pad

State = dict[int, dict[str, torch.Tensor]]

_STEP, _MOMENTS = "step", ("exp_avg", "exp_avg_sq")


def carried(checkpoint: Checkpoint, trainer: Any) -> State | None:
    """The moments that a checkpoint holds, in the shapes of the trainer's weights; none: there are none that fit.

    Branches share all their weights, so that a model with more of them has the same ones in the same order. Of a case
    embedding that was widened the new rows have no moments yet: zeros.
    """
    saved = checkpoint.get("optimizer") or {}
    weights = list(trainer.wrapper.parameters())
    if [len(group["params"]) for group in saved.get("param_groups", ())] != [len(weights)]:
        return None
    found: State = {}
    for place, state in saved["state"].items():
        if set(state) != {_STEP, *_MOMENTS}:
            return None
        shape = weights[place].shape
        if any(not _fits(state[name].shape, shape) for name in _MOMENTS):
            return None
        found[place] = {_STEP: state[_STEP], **{name: _widened(state[name], shape) for name in _MOMENTS}}
    return found or None


def adopt(trainer: Any, state: State) -> None:
    """Learning rate and weight decay stay the trainer's own."""
    optimizer = trainer.optimizer
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _fits(had: torch.Size, has: torch.Size) -> bool:
    return len(had) == len(has) and all(old <= new for old, new in zip(had, has, strict=True))


def _widened(moment: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Zeros after the last row and the last column, where `dpa.surgery` widens."""
    after = [side for old, new in zip(moment.shape, shape, strict=True) for side in (new - old, 0)]
    return pad(moment, after[::-1])
