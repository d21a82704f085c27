"""What an attempt uses: time by cores and GPUs, and energy where the hardware tells it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from contracts.artifacts import Cost

from trainer.domain import Usage
from trainer.energy import Counter, Rapl, visible_gpus

HOUR = 3600.0
KILOWATT_HOUR = 3.6e6
"""Joules."""


@dataclass(frozen=True, slots=True)
class Held:
    """What an attempt holds while it runs.

    here  on this machine, from its lease on; else elsewhere, from the moment when training starts there (a job may
          have waited in a queue), and this machine's counters tell nothing about it
    """

    cores: int
    gpus: int
    here: bool = True


class Meter:
    """Runs from its making."""

    def __init__(self, held: Held, cpu: Counter, gpu: Counter, clock: Callable[[], float] = time.monotonic) -> None:
        self._held = held
        self._gpus = held.gpus
        self._cpu = cpu
        self._gpu = gpu
        self._clock = clock
        self._began = clock() if held.here else None
        self._cpu_start = cpu.joules()
        self._gpu_start = gpu.joules()

    def trains_on(self, device: str) -> None:
        """As the engine said when it started: on a CPU no GPU is held, whatever the machine has."""
        if device.startswith("cpu"):
            self._gpus = 0
        if self._began is None:
            self._began = self._clock()

    def used(self) -> Usage:
        """So far."""
        seconds = 0.0 if self._began is None else self._clock() - self._began
        return Usage(
            core_seconds=seconds * self._held.cores,
            gpu_seconds=seconds * self._gpus,
            cpu_joules=_since(self._cpu_start, self._cpu.joules()),
            gpu_joules=_since(self._gpu_start, self._gpu.joules()) if self._gpus else None,
        )

    def cost(self) -> Cost:
        """The same, as a manifest says it."""
        used = self.used()
        return Cost(
            attempts=1,
            attempts_told=1,
            core_hours=used.core_seconds / HOUR,
            gpu_hours=used.gpu_seconds / HOUR,
            cpu_energy_kwh=None if used.cpu_joules is None else used.cpu_joules / KILOWATT_HOUR,
            gpu_energy_kwh=None if used.gpu_joules is None else used.gpu_joules / KILOWATT_HOUR,
        )


def _since(start: float | None, now: float | None) -> float | None:
    """A counter that began anew (a driver that was loaded again) tells nothing."""
    return None if start is None or now is None or now < start else now - start


class _Untold:
    """Counters of a machine that is elsewhere."""

    def joules(self) -> None:
        return None


def metering(held: Held) -> Callable[[], Meter]:
    """A new meter for each attempt."""
    if not held.here:
        return lambda: Meter(held, _Untold(), _Untold())
    gpus = visible_gpus(held.gpus)
    return lambda: Meter(held, Rapl(), gpus)
