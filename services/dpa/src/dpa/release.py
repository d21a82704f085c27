"""What is given out: a .pt with every branch and no optimizer, and one frozen model a branch."""

from pathlib import Path

import torch
from deepmd.pt.entrypoints.main import freeze as deepmd_freeze

from dpa.checkpoint import load, parameters


def write_release(checkpoint: Path, release: Path) -> None:
    """Copy a training checkpoint without what only training needs.

    The first branch gets the alias `Default`, so that `DeepPot(model="….pt")` needs no head. What deepmd notes
    of each branch's data (elements) is left out: a branch may come from a private dataset.
    """
    content = load(checkpoint)
    for position, declaration in enumerate(parameters(content)["model_dict"].values()):
        declaration["model_branch_alias"] = ["Default"] if position == 0 else []
        declaration["info"] = {}
    torch.save({"model": content["model"]}, release)


def freeze(model: Path, branch: str, folder: Path, suffix: str) -> Path:
    """Freeze one branch into `<folder>/<branch><suffix>`; deepmd takes seconds for .pth, minutes for .pt2."""
    output = folder / f"{branch}{suffix}"
    deepmd_freeze(model=str(model), output=str(output), head=branch)
    if not output.is_file():
        made = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise RuntimeError(f"deepmd froze {branch} as {made}, not as {output.name}: check the preset's frozen_suffix")
    return output
