"""What a round cost: its attempts together. What nobody told is unknown, never made up."""

from collections.abc import Mapping, Sequence

from contracts.artifacts import Cost

from registry.domain.rounds import Usage

HOUR = 3600.0
KILOWATT_HOUR = 3.6e6
"""Joules."""


def round_cost(attempts: int, told: Mapping[int, Usage], last: Cost | None) -> Cost | None:
    """Of `attempts` attempts, those of `told` by fence, and the last one's as its manifest says it.

    The manifest of the last attempt goes before what its heartbeats told, as it is later. None: nobody told anything.
    Energy is unknown as soon as one attempt that told something did not tell it.
    """
    counted = [_cost(usage) for fence, usage in told.items() if fence != attempts or last is None]
    if last is not None:
        counted.append(last)
    if not counted:
        return None
    return Cost(
        attempts=attempts,
        attempts_told=len(counted),
        core_hours=sum(one.core_hours for one in counted),
        gpu_hours=sum(one.gpu_hours for one in counted),
        cpu_energy_kwh=_sum([one.cpu_energy_kwh for one in counted]),
        gpu_energy_kwh=_sum([one.gpu_energy_kwh for one in counted]),
    )


def _cost(usage: Usage) -> Cost:
    return Cost(
        attempts=1,
        attempts_told=1,
        core_hours=usage.core_seconds / HOUR,
        gpu_hours=usage.gpu_seconds / HOUR,
        cpu_energy_kwh=None if usage.cpu_joules is None else usage.cpu_joules / KILOWATT_HOUR,
        gpu_energy_kwh=None if usage.gpu_joules is None else usage.gpu_joules / KILOWATT_HOUR,
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
