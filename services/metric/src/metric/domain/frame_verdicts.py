"""The verdict of each frame that a report names: those that were judged and those that failed."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from contracts.artifacts import FrameVerdict
from frames.frame import Frame

from metric.domain.coverage import BranchJudgement
from metric.domain.levels import FAILED
from metric.domain.survey import Survey, Surveyed

FAILED_WITH_RULES = 1000
"""Of failed frames beyond these the report names no rules: the table does."""

FAILED_LISTED_WHEN_NOT_SOUND = 10_000
"""Nobody trains on a dataset that is not sound, so its report need not list every failed frame."""

VerdictName = Literal["covered", "useful", "suspect", "failed"]


def verdict_name(failed: bool, warned: bool, covered: bool) -> VerdictName:
    """A frame that failed is nothing else; one with a warning is suspect, whether covered or not."""
    if failed:
        return "failed"
    if warned:
        return "suspect"
    return "covered" if covered else "useful"


def frame_verdicts(
    survey: Survey,
    judged: Sequence[Surveyed],
    frames: Sequence[Frame],
    near: BranchJudgement | None,
    everything: bool,
    distances: Sequence[float] | None = None,
) -> tuple[FrameVerdict, ...]:
    """In the order of the dataset. `judged` and `frames` are the frames that `near` was held against, in one order;
    so are `distances` from training frames.

    `everything`: every failed frame is listed, as the trainer leaves out those that it finds here.
    """
    failed = [int(one) for one in np.flatnonzero(survey.worst == FAILED)]
    if not everything:
        failed = failed[:FAILED_LISTED_WHEN_NOT_SOUND]
    found = {}
    for number, one in enumerate(judged):
        distance = distances[number] if distances is not None else None
        found[one.position] = _judged(one, number, frames, near, distance)
    for number, position in enumerate(failed):
        found[position] = _failed(survey.frames[position], with_rules=number < FAILED_WITH_RULES)
    return tuple(found[position] for position in sorted(found))


def _judged(
    one: Surveyed, number: int, frames: Sequence[Frame], near: BranchJudgement | None, distance: float | None
) -> FrameVerdict:
    error, energy, covered = None, None, None
    if near is not None:
        frame = frames[number]
        error = float(near.max_force_errors[number])
        energy = 1000 * float(near.aligned[number] - frame.energy) / frame.natoms
        covered = bool(near.covered[number])
    return FrameVerdict(
        split=one.split,
        index=one.index,
        verdict=verdict_name(one.failed, bool(one.findings), bool(covered)),
        covered=covered,
        max_force_error_ev_per_angstrom=error,
        energy_error_mev_per_atom=energy,
        descriptor_distance=distance,
        rules=tuple(finding.result() for finding in one.findings),
    )


def _failed(one: Surveyed, with_rules: bool) -> FrameVerdict:
    rules = tuple(finding.result() for finding in one.findings) if with_rules else ()
    return FrameVerdict(split=one.split, index=one.index, verdict="failed", rules=rules)
