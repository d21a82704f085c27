"""What this machine has, as the worker announces it: found without importing torch."""

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

_MIB = 1 << 20
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index,uuid,memory.total,name", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """What training runs on. GPUs and cores are those of all nodes, memory is that of one."""

    gpus: tuple[Gpu, ...]
    cpu_name: str
    cpu_cores: int
    memory_bytes: int

    def times(self, nodes: int) -> "Hardware":
        """So many nodes like this one."""
        return replace(self, gpus=self.gpus * nodes, cpu_cores=self.cpu_cores * nodes)


def this_machine() -> Hardware:
    """What this process may use: of GPUs those that CUDA_VISIBLE_DEVICES leaves, inside a container its share."""
    return Hardware(visible(installed_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")), _cpu_name(), _cores(), _memory())


def installed_gpus() -> list[tuple[str, str, Gpu]]:
    """(index, UUID, device) of each; none where the driver's own tool does not answer."""
    try:
        said = subprocess.run(_NVIDIA_SMI, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed(said)


def listed(said: str) -> list[tuple[str, str, Gpu]]:
    """The lines of nvidia-smi: index, UUID, MiB, name."""
    found = []
    for line in said.splitlines():
        parts = [part.strip() for part in line.split(",", 3)]
        if len(parts) == 4:
            memory = int(parts[2]) * _MIB if parts[2].isdigit() else 0
            found.append((parts[0], parts[1], Gpu(parts[3], memory)))
    return found


def visible(installed: list[tuple[str, str, Gpu]], chosen: str | None) -> tuple[Gpu, ...]:
    """Those that CUDA would show of a list of indices or beginnings of UUIDs; it ends at the first unknown one."""
    if chosen is None:
        return tuple(gpu for _, _, gpu in installed)
    shown = []
    for one in (part.strip() for part in chosen.split(",")):
        found = [gpu for index, uuid, gpu in installed if one and (one == index or uuid.startswith(one))]
        if not found:
            break
        shown.append(found[0])
    return tuple(shown)


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    match _words(Path("/sys/fs/cgroup/cpu.max")):
        case [quota, period] if quota.isdigit() and period.isdigit():
            return max(1, min(cores, int(quota) // int(period)))
    return cores


def _memory() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    match _words(Path("/sys/fs/cgroup/memory.max")):
        case [limit] if limit.isdigit():
            return min(memory, int(limit))
    return memory


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
