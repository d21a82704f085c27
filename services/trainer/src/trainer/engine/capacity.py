"""Does training fit into this machine's memory? Asked before it is tried: what the kernel kills explains nothing."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from frames.frame import Frame

from trainer.child import OUT_OF_MEMORY, AttemptFailed
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


def available_bytes() -> int | None:
    """Memory that training may still take: of the GPU, or of this machine and the container; none: not known."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
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
