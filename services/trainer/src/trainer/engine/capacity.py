"""Does training fit into this machine's memory? Asked before it is tried: what the kernel kills explains nothing."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deepmd.pt.utils.env import DEVICE
from frames.frame import Frame

from trainer.child import DEVICE_FAILED, OUT_OF_MEMORY, AttemptFailed
from trainer.preset import Preset
from trainer.recipe import frames_at_once

# Measured with deepmd-kit 3.2.0 on 216 to 2,197 atoms: what a step takes grows with the pairs that its neighbour
# search looks at, whatever the network. A large network takes more.
BYTES_PER_PAIR = 500
_PROC = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Largest:
    """The frame of a dataset with the most pairs."""

    natoms: int
    pairs: float


def reach(section: Any) -> float:
    """The largest cutoff in a descriptor's section, Å, however it is called there ('rcut', 'e_rcut')."""
    if not isinstance(section, Mapping):
        return 0.0
    own = [float(value) for key, value in section.items() if key.endswith("rcut") and isinstance(value, int | float)]
    return max([*own, *(reach(value) for value in section.values())], default=0.0)


def pairs(frame: Frame, cutoff: float) -> float:
    """How many pairs the search looks at: every atom with all atoms and images within the cutoff of the cell."""
    if frame.cell is None:
        return float(frame.natoms) ** 2
    # Distances between opposite faces.
    heights = 1 / np.linalg.norm(np.linalg.inv(frame.cell), axis=0)
    return float(frame.natoms**2 * np.prod(1 + 2 * cutoff / heights))


def largest(frames: Iterable[Frame], cutoff: float) -> Largest:
    return max((Largest(one.natoms, pairs(one, cutoff)) for one in frames), key=lambda one: one.pairs)


def check(frames: Mapping[str, Largest], batch_size: str | int) -> None:
    """Raises AttemptFailed ('out-of-memory') naming the branch whose frames cannot be trained on here."""
    free = available_bytes()
    for name, one in frames.items():
        needed = BYTES_PER_PAIR * one.pairs * frames_at_once(batch_size, one.natoms)
        if free is not None and needed > free:
            raise AttemptFailed(
                OUT_OF_MEMORY,
                f"the dataset of branch {name} has frames of {one.natoms:,} atoms: a step on one takes at least "
                f"{needed / _GB:.0f} GB of memory, and this worker has {free / _GB:.1f} GB free; a larger worker may "
                "manage, or the dataset in smaller cells",
                retryable=True,
            )


def check_gpu(preset: Preset) -> None:
    """A worker announces the GPUs that nvidia-smi lists; where torch can use none, training would crawl on a CPU.

    Raises AttemptFailed ('device-failed').
    """
    if (preset.needs.gpus or preset.needs.gpu_memory_gb) and DEVICE.type == "cpu":
        raise AttemptFailed(
            DEVICE_FAILED,
            f"preset {preset.name} needs a GPU, and on this worker torch {torch.__version__} trains on the CPU "
            f"({why_no_gpu()}): mend that, or leave {preset.name} out of POTLUCK_TRAINER_OFFERED_PRESETS",
            retryable=True,
        )


def why_no_gpu() -> str:
    """In words, where deepmd runs on the CPU."""
    if os.environ.get("DEVICE") == "cpu":
        return "the variable DEVICE says cpu"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # the latter: a torch without CUDA
        return str(error).splitlines()[0]
    return "it sees no GPU"


def available_bytes() -> int | None:
    """Memory that training may still take: of the GPU, or of this machine and the container; none: not known."""
    if DEVICE.type == "cuda":
        # What this process has freed torch keeps for it, and nobody else is told that it is free.
        kept = torch.cuda.memory_reserved(DEVICE) - torch.cuda.memory_allocated(DEVICE)
        return int(torch.cuda.mem_get_info(DEVICE)[0] + kept)
    free = [one for one in (_of_machine(), _of_container()) if one is not None]
    return min(free, default=None)


def _of_machine() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in _PROC.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pages = os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in os.sysconf_names else -1
        return pages * os.sysconf("SC_PAGE_SIZE") if pages > 0 else None


def _of_container() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        return None if limit == "max" else int(limit) - int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
