"""Do energies and forces belong together? A force is the slope of the energy: no model is needed to ask, so it is
asked of new elements as well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contracts.base import RuleResult
from frames.frame import FloatArray, Frame
from numpy.typing import NDArray

from metric.domain.limits import Limits
from metric.domain.neighbours import Step
from metric.domain.words import counted, percent, significant

CONSISTENT_LABELS = "consistent-labels"
VIRIAL_SIGN = "virial-sign"

_FEWEST_STEPS = 10
# Smaller differences of energy are those of how tightly a calculation was converged.
_SMALLEST_WORK_EV_PER_ATOM = 5e-4
# A step agrees when it is right to half its own size, or to half the usual size where it is a small one.
_AGREES_WITHIN = 0.5
_FACTOR_TOLERANCE = 1.15
# What no unit explains is still not the same unit.
_SAME_UNIT = 1.5
_SAME_SHIFT_WITHIN = 0.2
_MOSTLY = 0.9
_MOVED_ANGSTROM = 0.01
_NOT_AT_ALL = 1e-4
_STRAIN_FELT = 0.1
_CLEARLY_LESS = 0.5
_MOST_STEPS = 0.7

_HARTREE_EV = 27.211386
_BOHR_ANGSTROM = 0.529177
# change of the energy ÷ work of the forces → what the labels look like
_FACTORS: tuple[tuple[float, str], ...] = (
    (1 / _HARTREE_EV, "energies in hartree beside forces in eV/Å"),
    (2 / _HARTREE_EV, "energies in rydberg beside forces in eV/Å"),
    (_HARTREE_EV, "forces in hartree/Å or rydberg/bohr beside energies in eV"),
    (_HARTREE_EV / _BOHR_ANGSTROM, "forces in hartree/bohr beside energies in eV"),
    (1 / _BOHR_ANGSTROM, "forces per bohr that were taken for forces per Å, or positions that were converted from "
     "bohr twice"),
    (_BOHR_ANGSTROM, "positions in bohr that were taken for Å, or forces that were converted from per bohr twice"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Consistency:
    """Over `steps` pairs of nearly equal frames: energy ≈ factor × work; parts of the steps that agree.

    agree         with factor 1
    agree_scaled  with `factor`
    """

    steps: int
    factor: float
    agree: float
    agree_scaled: float


def judge_consistency(
    frames: Sequence[Frame], near: Sequence[Step], limits: Limits
) -> tuple[Consistency | None, RuleResult | None]:
    """`near`: the steps between these frames. Nothing where too few of them are nearly the same structure."""
    if not any(frame.forces.any() for frame in frames):
        return None, _no_forces([one for one in near if one.moved > _MOVED_ANGSTROM])
    least = _SMALLEST_WORK_EV_PER_ATOM
    found = [one for one in near if max(abs(one.force_work), abs(one.energy)) >= least * one.natoms and one.force_work]
    if len(found) < _FEWEST_STEPS:
        return None, None
    seen = _measured(found)
    numbers = {
        "steps": float(seen.steps),
        "energy_over_work": seen.factor,
        "agreeing_steps": seen.agree,
        "at_least_agreeing_steps": limits.consistent_steps,
    }
    told = _cause(seen, found, limits)
    sentence = told or (
        f"Energies and forces belong together: between {counted(seen.steps, 'pair')} of nearly equal frames the energy "
        f"changes by {significant(seen.factor)} times the work of the forces; {percent(seen.agree)} of the pairs agree."
    )
    return seen, RuleResult(rule=CONSISTENT_LABELS, passed=told is None, sentence=sentence, numbers=numbers)


def _measured(found: Sequence[Step]) -> Consistency:
    """Virials may have the unit of the forces or that of the energies: what fits better is believed."""
    energy, force_work, strain_work = (
        np.array([getattr(one, name) for one in found]) for name in ("energy", "force_work", "strain_work")
    )
    agree = float(_agree(energy, force_work + strain_work).mean())
    fits = []
    for left, right in ((energy, force_work + strain_work), (energy - strain_work, force_work)):
        factor = _factor(left, right)
        fits.append((float(_agree(left, factor * right).mean()), factor))
    scaled, factor = max(fits, key=lambda fit: fit[0])
    return Consistency(len(found), factor, agree, scaled)


def _factor(energy: FloatArray, work: FloatArray) -> float:
    """Of smallest absolute deviation: the median of energy/work, weighted by the size of the work."""
    moving = work != 0
    ratio, weight = energy[moving] / work[moving], np.abs(work[moving])
    order = np.argsort(ratio)
    total = np.cumsum(weight[order])
    return float(ratio[order][int(np.searchsorted(total, total[-1] / 2))])


def _agree(energy: FloatArray, work: FloatArray) -> NDArray[np.bool_]:
    size = np.abs(work)
    found: NDArray[np.bool_] = np.abs(energy - work) <= _AGREES_WITHIN * (size + np.median(size))
    return found


def _cause(seen: Consistency, found: Sequence[Step], limits: Limits) -> str | None:
    """What is wrong, in words; None: nothing."""
    same_unit = 1 / _SAME_UNIT < seen.factor < _SAME_UNIT
    if seen.agree >= limits.consistent_steps and same_unit:
        return None
    between = f"between {counted(seen.steps, 'pair')} of nearly equal frames"
    if seen.agree_scaled >= limits.consistent_steps and not same_unit:
        return _scaled(seen, max(one.natoms for one in found), between)
    shift = _common_shift(found)
    if shift is not None:
        return (
            f"The energies come from two references: {between}, {percent(1 - seen.agree)} differ by "
            f"{significant(shift)} eV more than their forces explain, all by the same amount. Give all frames the same "
            f"settings and the same zero of energy, or upload the parts as two datasets."
        )
    if seen.agree < limits.consistent_steps:
        return (
            f"Energies and forces do not belong together: {between}, only {percent(seen.agree)} differ in energy by "
            f"what their forces say, and at least {percent(limits.consistent_steps)} should. It looks as if labels of "
            f"frames or atoms had been shuffled, or came from another calculation."
        )
    return None


def _scaled(seen: Consistency, natoms: int, between: str) -> str:
    size = abs(seen.factor)
    causes = [text for factor, text in _FACTORS if _near(size, factor)]
    if natoms > 1 and _near(size, 1 / natoms):
        causes.append("energies per atom where those of the whole structure are meant")
    measured = f"{between} the energy changes by {seen.factor:.3g} times the work of the forces"
    turned = seen.factor < 0
    if size < _NOT_AT_ALL:
        return f"The energies do not change where the forces say that they must, {between}: were they read?"
    if _near(size, 1):
        return (
            f"Energies and forces have opposite signs: {measured}. Either the forces are the energy's gradient, "
            f"or the sign of the energy is turned."
        )
    looks = f"it looks like {', or '.join(causes)}" if causes else "their units do not match"
    also = " The sign of one of them is turned too." if turned else ""
    return f"Energies and forces have units that do not fit together: {measured}, so {looks}.{also}"


def _near(value: float, factor: float) -> bool:
    return factor / _FACTOR_TOLERANCE < value < factor * _FACTOR_TOLERANCE


def _common_shift(found: Sequence[Step]) -> float | None:
    """eV, if what the forces do not explain is the same wherever it is; None otherwise."""
    energy, work = np.array([one.energy for one in found]), np.array([one.work for one in found])
    odd = np.abs(energy - work)[~_agree(energy, work)]
    if len(odd) < _FEWEST_STEPS // 2:
        return None
    shift = float(np.median(odd))
    same = np.abs(odd - shift) <= _SAME_SHIFT_WITHIN * shift
    # Labels that were shuffled differ by anything; a second reference stands apart from every step.
    return shift if same.mean() >= _MOSTLY and shift > float(np.median(np.abs(work))) else None


def _no_forces(moved: Sequence[Step]) -> RuleResult | None:
    """All forces are zero: right by symmetry, or where atoms move and the energy stays."""
    if len(moved) < _FEWEST_STEPS:
        return None
    change = float(np.median([abs(one.energy - one.work) / one.natoms for one in moved]))
    if change < _SMALLEST_WORK_EV_PER_ATOM:
        return None
    sentence = (
        f"All forces are zero, yet where atoms move between nearly equal frames the energy changes by "
        f"{significant(1000 * change)} meV/atom: the forces were not computed, or not read."
    )
    numbers = {"steps": float(len(moved)), "energy_change_ev_per_atom": change}
    return RuleResult(rule=CONSISTENT_LABELS, passed=False, sentence=sentence, numbers=numbers)


def judge_strain(near: Sequence[Step]) -> RuleResult | None:
    """The sign of virials, from pairs of frames whose cells differ: which sign explains the energies better?

    Nothing where the work of the strain is too small beside that of the forces to tell.
    """
    felt = [one for one in near if abs(one.strain_work) > _STRAIN_FELT * abs(one.force_work)]
    if len(felt) < _FEWEST_STEPS:
        return None
    missing = np.array([one.energy - one.force_work for one in felt])
    strain = np.array([one.strain_work for one in felt])
    right, turned = np.abs(missing - strain), np.abs(missing + strain)
    numbers = {
        "steps": float(len(felt)),
        "unexplained_ev": float(right.mean()),
        "unexplained_with_the_other_sign_ev": float(turned.mean()),
    }
    wrong = turned.sum() < _CLEARLY_LESS * right.sum() and (turned < right).mean() >= _MOST_STEPS
    between = f"between {counted(len(felt), 'pair')} of nearly equal frames"
    sentence = f"The sign of the virials is right as far as energies tell, {between}."
    if wrong:
        sentence = (
            f"The virials have the wrong sign (a virial is −volume × stress): {between} the energies change as virials "
            f"of the other sign say. Without virials the dataset would do as well."
        )
    return RuleResult(rule=VIRIAL_SIGN, passed=not wrong, sentence=sentence, numbers=numbers)
