"""What a deepmd checkpoint (.pt) of a multi-task model holds."""

from pathlib import Path
from typing import Any

import torch

Checkpoint = dict[str, Any]


class NotACheckpoint(ValueError):
    """The file is not a multi-task checkpoint of deepmd's PyTorch backend."""


def load(path: Path) -> Checkpoint:
    """The whole checkpoint on the CPU; nothing in it is executed. Raises NotACheckpoint."""
    content = _read(path)
    if "model_dict" not in parameters(content):
        raise NotACheckpoint(f"{path.name} is not a multi-task deepmd checkpoint: it has no branches")
    return content


def _read(path: Path) -> Checkpoint:
    try:
        content = dict(torch.load(path, map_location="cpu", weights_only=True))
        parameters(content)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise NotACheckpoint(f"{path.name} is not a multi-task deepmd checkpoint: {error!r}") from error
    return content


def parameters(checkpoint: Checkpoint) -> dict[str, Any]:
    """`model_params`: the model section of the input that it was trained with, by branch."""
    found: dict[str, Any] = checkpoint["model"]["_extra_state"]["model_params"]
    return found


def branches(model: Path) -> list[str]:
    """Branch names in the model's order; a frozen model (.pth) and one that was trained on a single task have one
    without a name and give an empty list.

    Raises NotACheckpoint.
    """
    if model.suffix != ".pt":
        return []
    return list(parameters(_read(model)).get("model_dict", ()))


def step(checkpoint: Checkpoint) -> int:
    """Steps of training that it holds."""
    return int(checkpoint["model"]["_extra_state"]["train_infos"]["step"])
