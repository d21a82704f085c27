"""What the hardware tells of the energy that it took: RAPL for CPU packages, NVML for NVIDIA GPUs.

Both count for whole devices, whoever uses them. Where a counter cannot be read nothing is told.
"""

import ctypes
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

RAPL_FOLDER = Path("/sys/class/powercap")
_PACKAGE = re.compile(r"intel-rapl:\d+")


class Counter(Protocol):
    """Joules since some moment; None: it cannot be told (any more)."""

    def joules(self) -> float | None: ...


@dataclass
class _Package:
    energy: Path
    """µJ, beginning again at zero after `wraps_at`."""
    wraps_at: int
    last: int


class Rapl:
    """CPU packages. Must be read more often than a package's counter wraps, which takes minutes."""

    def __init__(self, folder: Path = RAPL_FOLDER) -> None:
        self._packages: list[_Package] | None = None
        self._joules = 0.0
        try:
            packages = sorted(path for path in folder.iterdir() if _PACKAGE.fullmatch(path.name))
            self._packages = [
                _Package(
                    energy=path / "energy_uj",
                    wraps_at=int((path / "max_energy_range_uj").read_text()),
                    last=int((path / "energy_uj").read_text()),
                )
                for path in packages
            ]
        except (OSError, ValueError):  # no such hardware, or root's alone
            return

    def joules(self) -> float | None:
        if not self._packages:
            return None
        try:
            for package in self._packages:
                now = int(package.energy.read_text())
                passed = now - package.last
                self._joules += (passed if passed >= 0 else passed + package.wraps_at) / 1e6
                package.last = now
        except (OSError, ValueError):
            self._packages = None
            return None
        return self._joules


class Nvml:
    """The first NVIDIA GPUs that CUDA shows this process, by NVIDIA's own library; none without its driver."""

    def __init__(self, visible: str | None, most: int, library: str = "libnvidia-ml.so.1") -> None:
        """`visible`: the value of CUDA_VISIBLE_DEVICES; `most`: how many of them are trained on."""
        self._devices: Sequence[ctypes.c_void_p] | None = None
        try:
            self._library = ctypes.CDLL(library)
            self._asked("nvmlInit_v2")
            self._devices = self._visible(visible)[:most]
        except (OSError, AttributeError, ValueError):
            return

    @property
    def gpus(self) -> int:
        """How many; 0 where there is no driver."""
        return len(self._devices or ())

    def joules(self) -> float | None:
        if not self._devices:
            return None
        total = 0
        try:
            for device in self._devices:
                millijoules = ctypes.c_ulonglong()
                self._asked("nvmlDeviceGetTotalEnergyConsumption", device, ctypes.byref(millijoules))
                total += millijoules.value
        except (OSError, AttributeError):  # older than Volta, or lost
            return None
        return total / 1e3

    def _visible(self, visible: str | None) -> list[ctypes.c_void_p]:
        """Raises ValueError for names that are not those of whole GPUs (MIG)."""
        if visible is None:
            count = ctypes.c_uint()
            self._asked("nvmlDeviceGetCount_v2", ctypes.byref(count))
            return [self._device("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(one)) for one in range(count.value)]
        found = []
        for name in filter(None, (one.strip() for one in visible.split(","))):
            if name.isdecimal():
                found.append(self._device("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(name))))
            elif name.startswith("GPU-"):
                found.append(self._device("nvmlDeviceGetHandleByUUID", name.encode()))
            else:
                raise ValueError(f"{name} is not a whole GPU")
        return found

    def _device(self, function: str, name: ctypes.c_uint | bytes) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._asked(function, name, ctypes.byref(handle))
        return handle

    def _asked(self, function: str, *arguments: object) -> None:
        """Raises OSError when the library says no."""
        code = getattr(self._library, function)(*arguments)
        if code != 0:
            raise OSError(f"{function} answered {code}")


def visible_gpus(most: int) -> Nvml:
    return Nvml(os.environ.get("CUDA_VISIBLE_DEVICES"), most)
