"""Files as a machine with a GPU writes them, made on one that has none."""

import zipfile
from pathlib import Path

import torch

# A string of the pickle protocol that torch writes: its length, then itself.
_CPU, _CUDA = (b"X" + len(place).to_bytes(4, "little") + place for place in (b"cpu", b"cuda:0"))


def as_a_gpu_writes(path: Path) -> None:
    """The checkpoint, release (.pt) or frozen model (.pth) says of every tensor that it lies on cuda:0.

    The optimizer of a checkpoint is the fused one, which deepmd chooses on GPUs.
    """
    if path.suffix == ".pt" and "optimizer" in (content := torch.load(path, map_location="cpu", weights_only=True)):
        for group in content["optimizer"]["param_groups"]:
            group["fused"] = True
        torch.save(content, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data.replace(_CPU, _CUDA) if name.endswith(".pkl") else data)


def places(path: Path) -> set[str]:
    """Where the tensors of a .pt lie, as it says."""
    found = set()

    def told(storage: torch.UntypedStorage, place: str) -> torch.UntypedStorage:
        found.add(place)
        return storage

    torch.load(path, map_location=told, weights_only=True)
    return found
