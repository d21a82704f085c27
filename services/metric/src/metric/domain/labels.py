"""All that speaks for or against a dataset's labels as a whole, with what to tell the contributor first."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.base import RuleResult
from frames.frame import FloatArray, Frame

from metric.domain.consistency import judge_consistency, judge_strain
from metric.domain.lengths import judge_lengths
from metric.domain.limits import Limits
from metric.domain.neighbours import steps
from metric.domain.plausibility import Agreement, Candidate, judge_labels
from metric.domain.references import judge_energies, judge_virials


@dataclass(frozen=True, slots=True)
class Labels:
    """agreement: of the forces with the branch that they agree with best; results: one a rule that had its say.

    against  what speaks against the labels, in the order in which to tell it; none: nothing
    """

    agreement: Agreement | None
    results: tuple[RuleResult, ...]
    against: tuple[RuleResult, ...]


def judge_all(
    too_close: FloatArray, frames: Sequence[Frame], candidates: Sequence[Candidate], limits: Limits
) -> Labels:
    """`too_close`: see `judge_lengths`; `frames` and the candidates' predictions are in one order.

    A branch that knows the elements says which label is wrong; that energies and forces do not fit says only that
    one of them is, and is told when nothing else is. With lengths in another unit everything else follows from that.
    """
    lengths = judge_lengths(too_close, frames, limits)
    near = steps(frames)
    seen, consistency = judge_consistency(frames, near, limits)
    belong = seen is not None and consistency is not None and consistency.passed
    found, forces = judge_labels(frames, candidates, limits, consistent=belong)
    factor = seen.factor if seen is not None and seen.agree_scaled >= limits.consistent_steps else None
    energies = judge_energies(frames, candidates, found, limits, factor)
    # Without forces and energies that fit, nothing can be said of what the strain adds to them.
    virials = judge_virials(frames, candidates, found, limits) or (judge_strain(near) if belong else None)
    definite = [one for one in (forces, energies, virials) if one is not None and not one.passed]
    if lengths is not None and not lengths.passed:
        against = [lengths]
    elif consistency is not None and not consistency.passed and not (_failed(forces) or _failed(energies)):
        against = [consistency, *definite]
    else:
        against = definite
    results = [one for one in (lengths, forces, energies, virials, consistency) if one is not None]
    return Labels(found, tuple(results), tuple(against))


def _failed(result: RuleResult | None) -> bool:
    return result is not None and not result.passed
