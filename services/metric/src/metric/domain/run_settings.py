"""What a run is told, as a report keeps it: with the same settings the run can be made again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from metric.domain.limits import Limits

_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Share:
    """How many training frames stand for a branch, and for the whole model; of no branch any: 0."""

    per_branch: int
    total: int

    def of(self, branches: int) -> int:
        return min(self.per_branch, max(self.total // branches, min(_FEWEST, self.per_branch)))


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`max_frames` are predicted at most, and compared with a `share` of the training frames; `seed` draws both, and
    what pictures show.
    """

    limits: Limits
    max_frames: int
    seed: int
    share: Share = Share(per_branch=0, total=1)

    def numbers(self) -> dict[str, float]:
        return {
            **asdict(self.limits),
            "seed": float(self.seed),
            "max_frames": float(self.max_frames),
            "known_frames_per_branch": float(self.share.per_branch),
            "known_frames": float(self.share.total),
        }


def stored_settings(numbers: Mapping[str, float], now: RunSettings) -> RunSettings:
    """Those of a report. A setting that its version did not have yet is as it is now."""
    known = now.numbers() | dict(numbers)
    limits = Limits(**{one.name: known[one.name] for one in fields(Limits)})
    share = Share(int(known["known_frames_per_branch"]), int(known["known_frames"]))
    return RunSettings(limits, int(known["max_frames"]), int(known["seed"]), share)
