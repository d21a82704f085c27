"""Are distances in Å? Bonds have known lengths, and a bohr is about half an Å."""

from collections.abc import Sequence

import numpy as np
from contracts.base import RuleResult
from frames.distances import FlatCell, closest_pair
from frames.frame import FloatArray, Frame

from metric.domain.limits import Limits
from metric.domain.words import significant

PLAUSIBLE_LENGTHS = "plausible-lengths"

# Atoms that rightly have no bonds.
_NOBLE = frozenset({2, 10, 18, 36, 54, 86, 118})
_FARTHEST_RATIO = 3.0
_MOST_FRAMES = 100
_MOST_ATOMS = 1000
_ALIKE = 0.9
_SHORTEST_BOND = 0.75
_BOHR_ANGSTROM = 0.529177


def judge_lengths(too_close: FloatArray, frames: Sequence[Frame], limits: Limits) -> RuleResult | None:
    """The closest two atoms of a frame, in units of their bond: about 1 in matter, 1.9 when bohr are taken for Å.

    too_close  float64 [F], that ratio of every frame of the dataset where it is below the warning of min-distance
    frames     those that a model is held against

    Single atoms and noble gases have no bonds; nothing is said where those are all.
    """
    short = np.isfinite(too_close)
    middle = float(np.median(too_close[short])) if short.any() else 0.0
    # Nearer still, atoms overlap: then no unit is to blame.
    if short.mean() >= _ALIKE and middle > _SHORTEST_BOND * _BOHR_ANGSTROM:
        measured = _measured(middle)
        sentence = (
            f"All bonds are too short: {measured}, as when Å are multiplied by 0.529 (bohr to Å) once too often. Check "
            f"how positions and cells were converted."
        )
        return RuleResult(rule=PLAUSIBLE_LENGTHS, passed=False, sentence=sentence, numbers=_numbers(middle, limits))
    judged = [frame for frame in frames if frame.natoms <= _MOST_ATOMS and not set(frame.numbers.tolist()) & _NOBLE]
    ratios = [found for frame in _spread(judged) if (found := _closest(frame)) is not None]
    if not ratios:
        return None
    middle = float(np.median(ratios))
    measured = _measured(middle)
    told = None
    if float(np.mean(np.array(ratios) > limits.long_bond_ratio)) >= _ALIKE:
        told = (
            f"Nothing is bonded: {measured}, as when bohr are taken for Å, which makes lengths 1.89 times too long. "
            f"Convert positions and cells to Å."
        )
    sentence = told or f"Lengths are those of matter: {measured}."
    return RuleResult(rule=PLAUSIBLE_LENGTHS, passed=told is None, sentence=sentence, numbers=_numbers(middle, limits))


def _measured(middle: float) -> str:
    return (
        f"the closest two atoms of a frame are typically {significant(middle)} of the sum of their covalent radii apart"
    )


def _numbers(middle: float, limits: Limits) -> dict[str, float]:
    return {"median_of_covalent_radii": middle, "too_long_above": limits.long_bond_ratio}


def _spread(frames: Sequence[Frame]) -> Sequence[Frame]:
    return frames[:: -(-len(frames) // _MOST_FRAMES)] if frames else frames


def _closest(frame: Frame) -> float | None:
    """None: nothing is near at all, as around a single atom or a molecule's fragments; or the cell is flat."""
    try:
        pair = closest_pair(frame, _FARTHEST_RATIO)
    except FlatCell:
        return None
    return pair.ratio if pair is not None else None
