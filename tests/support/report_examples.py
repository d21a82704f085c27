"""What a metric report may say beside its numbers: checks, frames, novelty, learning gain, tables."""

from typing import Any

from contracts.artifacts import FrameVerdict, GainPoint, Histogram, LearningGain, Novelty
from contracts.base import RuleResult

FORCE_CAP = RuleResult(
    rule="force-cap",
    passed=False,
    sentence="1 of 64 frames fails: its largest force is above 50 eV/Å.",
    numbers={
        "largest_ev_per_angstrom": 63.2,
        "fails_above_ev_per_angstrom": 50.0,
        "failed_frames": 1.0,
        "warned_frames": 0.0,
    },
)
NET_FORCE = RuleResult(
    rule="net-force",
    passed=True,
    sentence="2 of 64 frames have a net force above 1 meV/Å per atom: look at them.",
    numbers={
        "largest_mev_per_angstrom_per_atom": 3.4,
        "fails_above_mev_per_angstrom_per_atom": 10.0,
        "failed_frames": 0.0,
        "warned_frames": 2.0,
    },
)
DISTANCE = RuleResult(
    rule="min-distance",
    passed=True,
    sentence="No two atoms are too close.",
    numbers={"smallest_of_covalent_radii": 0.91, "fails_below_of_covalent_radii": 0.5},
)
SCF = RuleResult(
    rule="scf-converged",
    passed=False,
    unknown=True,
    sentence="The files of 10 frames do not tell whether the SCF converged.",
    numbers={"failed_frames": 0.0, "unknown_frames": 10.0},
)
CHECKS = (FORCE_CAP, DISTANCE, NET_FORCE, SCF)


def verdicts(frames: int = 64) -> tuple[FrameVerdict, ...]:
    """The fourth frame failed, two are suspect, the others are covered or useful."""
    found = []
    for index in range(frames):
        rules: tuple[RuleResult, ...] = ()
        verdict: Any = "covered" if index % 2 else "useful"
        if index in (7, 9):
            verdict, rules = "suspect", (NET_FORCE,)
        if index == 3:
            verdict, rules = "failed", (FORCE_CAP, NET_FORCE)
        found.append(
            FrameVerdict(split="train", index=index, verdict=verdict, max_force_error_ev_per_angstrom=0.4, rules=rules)
        )
    return tuple(found)


def everything() -> dict[str, Any]:
    """Members of a MetricReport that not every report has."""
    return {
        "checks": CHECKS,
        "verdicts": verdicts(),
        "new_element_pairs": ("C-C", "C-Si"),
        "novelty": Novelty(
            median=3.6,
            percentile_95=5.1,
            far_fraction=0.82,
            far_above=2.0,
            histogram=Histogram(edges=(0.0, 2.0, 6.0), counts=(12, 52)),
        ),
        "learning_gain": LearningGain(
            steps=200,
            points=(
                GainPoint(frames=0, force_rmse_mev_per_angstrom=1971, energy_rmse_mev_per_atom=210.5),
                GainPoint(frames=24, force_rmse_mev_per_angstrom=820, energy_rmse_mev_per_atom=61.0),
                GainPoint(frames=48, force_rmse_mev_per_angstrom=512, energy_rmse_mev_per_atom=33.0),
            ),
        ),
        "seed": 7,
        "device": "cpu",
    }
