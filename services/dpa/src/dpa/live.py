"""Predictions of a model that is being trained in this process."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from deepmd.pt.utils.env import DEVICE
from frames.frame import Frame

from dpa.batches import Gathered, Prediction, batches

# The dense neighbour search of a training model grows with the square of the atoms in a batch.
_MAX_ATOMS = 512


def predict(model: Any, type_map: Sequence[str], frames: Sequence[Frame]) -> Prediction:
    """Of one branch (`trainer.wrapper.model[branch]`), left in the mode that it was in. Raises UnknownElement."""
    was_training = model.training
    model.eval()
    try:
        gathered = Gathered(len(frames))
        for batch in batches(frames, type_map, _MAX_ATOMS):
            coords = torch.tensor(batch.coords, device=DEVICE)
            types = torch.tensor(batch.types, device=DEVICE)
            box = None if batch.cells is None else torch.tensor(batch.cells, device=DEVICE)
            # Forces are derivatives: the graph to the coordinates is needed, the one to the weights is dropped.
            output = model(coords, types, box=box)
            energy, forces, virial = (output[key].detach().cpu().numpy() for key in ("energy", "force", "virial"))
            gathered.add(batch, energy, forces, virial)
        return gathered.prediction()
    finally:
        model.train(was_training)


def shift_energies(model: Any, shift_ev: Mapping[str, float]) -> None:
    """Add to the energy bias of one branch, in place: eV per atom of each element symbol."""
    type_map, bias = model.get_type_map(), model.atomic_model.out_bias
    for symbol, shift in shift_ev.items():
        bias[0, type_map.index(symbol), 0] += shift
