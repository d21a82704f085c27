"""What a run is told, as a report keeps it: with the same settings the run can be made again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from metric.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`max_frames` are predicted at most; `seed` draws them, and what pictures show."""

    limits: Limits
    max_frames: int
    seed: int

    def numbers(self) -> dict[str, float]:
        return {**asdict(self.limits), "seed": float(self.seed), "max_frames": float(self.max_frames)}


def stored_settings(numbers: Mapping[str, float], now: RunSettings) -> RunSettings:
    """Those of a report. A setting that its version did not have yet is as it is now."""
    known = now.numbers() | dict(numbers)
    limits = Limits(**{one.name: known[one.name] for one in fields(Limits)})
    return RunSettings(limits, max_frames=int(known["max_frames"]), seed=int(known["seed"]))
