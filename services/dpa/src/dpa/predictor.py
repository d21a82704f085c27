"""Predictions of one branch of a model file."""

from collections.abc import Sequence
from pathlib import Path

# The PyTorch backend takes seconds to import: pay at import, not at the first model.
import deepmd.pt.infer.deep_eval  # noqa: F401
import torch
from deepmd.infer import DeepPot
from deepmd.pt.utils.env import DEVICE
from frames.frame import Frame

from dpa.batches import Batch, Gathered, Prediction, UnknownElement, batches
from dpa.checkpoint import branches

__all__ = ["Batch", "Prediction", "Predictor", "UnknownBranch", "UnknownElement", "branches", "device"]


def device() -> str:
    """Where deepmd computes in this process, e.g. 'cpu', 'cuda:0'."""
    return str(DEVICE)


class UnknownBranch(ValueError):
    """The model has no such branch."""


class Predictor:
    """One branch, loaded once, predicting many frames; on a GPU when there is one.

    `model` is a checkpoint or release (.pt, every branch; `branch` chooses) or a frozen model (.pth, one branch).
    Compiling (`torch.jit.script`) costs more than it gives for a few thousand frames, so .pt runs uncompiled.
    """

    def __init__(self, model: Path, branch: str) -> None:
        """Raises FileNotFoundError, UnknownBranch."""
        if not model.is_file():
            raise FileNotFoundError(f"no model file {model}")
        if model.suffix == ".pt":
            names = branches(model)
            if branch not in names:
                raise UnknownBranch(f"{model.name} has no branch {branch!r}; it has {', '.join(names)}")
            self._potential = DeepPot(str(model), head=branch, no_jit=True)
        else:
            self._potential = DeepPot(str(model))
        self.branch = branch
        self.type_map: list[str] = list(self._potential.get_type_map())

    def predict(self, frames: Sequence[Frame]) -> Prediction:
        """Energies, forces and virials in the order of `frames`. Raises UnknownElement."""
        gathered = Gathered(len(frames))
        for batch in batches(frames, self.type_map):
            count = len(batch.positions)
            coords = batch.coords.reshape(count, -1)
            cells = None if batch.cells is None else batch.cells.reshape(count, 9)
            # A frozen model's first calls otherwise spend seconds on optimizing what runs a few times.
            with torch.jit.optimized_execution(False):
                energy, forces, virial = self._potential.eval(coords, cells, batch.types, mixed_type=True)[:3]
            gathered.add(batch, energy, forces, virial)
        return gathered.prediction()
