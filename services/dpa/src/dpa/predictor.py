"""Predictions of one branch of a model file."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The PyTorch backend takes seconds to import: pay at import, not at the first model.
import deepmd.pt.infer.deep_eval  # noqa: F401
import numpy as np
import torch
from deepmd.infer import DeepPot
from deepmd.pt.utils.auto_batch_size import AutoBatchSize
from deepmd.pt.utils.env import DEVICE
from frames.frame import FloatArray, Frame

from dpa.batches import Batch, Descriptors, Gathered, Prediction, UnknownElement, batches
from dpa.checkpoint import branches

__all__ = [
    "Batch",
    "Prediction",
    "Predictor",
    "UnknownBranch",
    "UnknownElement",
    "branches",
    "device",
    "give_memory_back",
    "usable",
]

# On a CPU small batches stay in its caches: 1,024 atoms, deepmd's own choice, were a fifth slower. A GPU needs more to
# be busy; what its memory cannot hold is halved.
_MAX_ATOMS = {"cpu": 256, "cuda": 16384}

Evaluated = tuple[Batch, FloatArray, FloatArray, FloatArray, Descriptors | None]


class UnknownBranch(ValueError):
    """The model has no such branch."""


def device() -> str:
    """Where models predict in this process: 'cpu' or 'cuda'."""
    return str(DEVICE.type)


def give_memory_back() -> None:
    """What torch keeps of a GPU's memory for later, in a process that lives on beside others on the same GPU."""
    torch.cuda.empty_cache()


def usable() -> bool:
    """Whether models can still predict in this process.

    What once broke a GPU's state (an illegal access, an assertion that failed on it) fails everything that follows.
    """
    if device() == "cpu":
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


class Predictor:
    """One branch, loaded once, predicting many frames; on a GPU when there is one.

    `model` is a checkpoint or release (.pt; `branch` chooses one of several) or a frozen model (.pth, one branch).
    Compiling (`torch.jit.script`) costs more than it gives for a few thousand frames, so .pt runs uncompiled.
    The frames given decide how they are batched, nothing else does: the same frames give the same numbers.
    """

    def __init__(self, model: Path, branch: str) -> None:
        """Raises FileNotFoundError, NotACheckpoint, UnknownBranch."""
        if not model.is_file():
            raise FileNotFoundError(f"no model file {model}")
        head = None
        if model.suffix == ".pt":
            names = branches(model)
            if names and branch not in names:
                raise UnknownBranch(f"{model.name} has no branch {branch!r}; it has {', '.join(names)}")
            head = branch if names else None
        self._potential = DeepPot(str(model), head=head, no_jit=True, auto_batch_size=False)
        self._max_atoms = _MAX_ATOMS.get(device(), _MAX_ATOMS["cpu"])
        # Knows in how many ways libraries say that a GPU's memory is full; sizes are ours.
        self._memory = AutoBatchSize(silent=True)
        self._too_many = math.inf
        """Atoms that did not fit, of the frames that are being predicted: so many are not tried again."""
        self._tap = _Tap(self._potential.deep_eval.get_model())
        self.branch = branch
        self.type_map: list[str] = list(self._potential.get_type_map())

    def predict(self, frames: Sequence[Frame], descriptors: bool = False) -> Prediction:
        """Energies, forces and virials in the order of `frames`. Raises UnknownElement.

        `descriptors` adds the local environment of each atom as the network sees it, before any branch's own
        part, at hardly any cost: they are taken from the same pass.
        """
        gathered = Gathered(len(frames))
        self._too_many = math.inf
        for batch in batches(frames, self.type_map, self._max_atoms):
            for part in self._parts(batch, descriptors):
                gathered.add(*part)
        return gathered.prediction()

    def _parts(self, batch: Batch, descriptors: bool) -> Iterator[Evaluated]:
        """The batch in one piece, or in halves where the GPU's memory does not hold it."""
        last = len(batch.positions) == 1
        if last or batch.types.size < self._too_many:
            whole = self._whole(batch, descriptors, last=last)
            if whole is not None:
                yield whole
                return
            self._too_many = batch.types.size
            # Only now, with the error and all that its frames held gone, there is something to give back.
            torch.cuda.empty_cache()
        half = len(batch.positions) // 2
        yield from self._parts(batch.rows(0, half), descriptors)
        yield from self._parts(batch.rows(half, len(batch.positions)), descriptors)

    def _whole(self, batch: Batch, descriptors: bool, *, last: bool) -> Evaluated | None:
        """None when the GPU's memory does not hold it; of the `last` that could be tried the error is raised."""
        try:
            with self._tap.open() as tapped:
                energy, forces, virial = self._evaluate(batch)
            found = None
            if descriptors:
                seen = len(tapped) == 1 and tapped[0].shape[:2] == batch.types.shape
                found = tapped[0].cpu().numpy() if seen else self._describe(batch)
        except RuntimeError as error:
            if last or not self._memory.is_oom_error(error):
                raise
            return None
        return batch, energy, forces, virial, found

    def _evaluate(self, batch: Batch) -> tuple[FloatArray, FloatArray, FloatArray]:
        # A frozen model's first calls otherwise spend seconds on optimizing what runs a few times.
        with torch.jit.optimized_execution(False):
            output = self._potential.eval(*batch.arrays(), mixed_type=True)
        return output[0], output[1], output[2]

    def _describe(self, batch: Batch) -> Descriptors:
        """In a pass of its own: of a frozen model, and of one that calls its descriptor in its own way (DPA-4)."""
        with torch.jit.optimized_execution(False):
            found = self._potential.eval_descriptor(*batch.arrays(), mixed_type=True)
        return np.asarray(found, dtype=np.float32)


class _Tap:
    """What the descriptor network of a model gives while the tap is open: tensors [B, n, d], one a pass."""

    def __init__(self, model: Any) -> None:
        self._caught: list[torch.Tensor] | None = None
        # A frozen model has no Python of its own: .pth is a script, of .pt2 there is only the compiled program.
        if model is not None and not isinstance(model, torch.jit.ScriptModule):
            network = model.get_descriptor()
            if isinstance(network, torch.nn.Module):
                network.register_forward_hook(self._catch)

    @contextmanager
    def open(self) -> Iterator[list[torch.Tensor]]:
        caught: list[torch.Tensor] = []
        self._caught = caught
        try:
            yield caught
        finally:
            self._caught = None

    def _catch(self, _network: Any, _inputs: Any, output: tuple[torch.Tensor, ...]) -> None:
        if self._caught is not None:
            self._caught.append(output[0].detach())
