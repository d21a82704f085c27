"""Plausible labels: reported against predicted force components tell a wrong sign, unit or order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from contracts.base import RuleResult
from frames.align import align_energies
from frames.frame import ATOMIC_NUMBERS, FloatArray, Frame, element_counts

from metric.domain.coverage import Prediction
from metric.domain.limits import Limits
from metric.domain.words import listed, significant

PLAUSIBLE_LABELS = "plausible-labels"

_FEWEST_COMPONENTS = 30
_FEWEST_FRAMES = 8
_FACTOR_TOLERANCE = 1.3
# A model that meets an element for the first time is right about the direction more than about the size.
_SIGN_TOLERANCE = 3.0
_CLEARLY = 3.0
_SIZE_TOLERANCE = 1.4
_HARTREE_EV = 27.211386
_HARTREE_PER_BOHR_EV_PER_ANGSTROM = 51.422067

# slope → what the labels look like. Rydberg/bohr (25.7) is within the tolerance of hartree/Å (27.2).
_UNITS: tuple[tuple[float, str], ...] = (
    (1 / _HARTREE_EV, "they look like hartree/Å or rydberg/bohr that were taken for eV/Å"),
    (1 / _HARTREE_PER_BOHR_EV_PER_ANGSTROM, "they look like hartree/bohr that were taken for eV/Å"),
    (_HARTREE_EV, "they look as if eV/Å had been multiplied by 27.2 (hartree to eV) once too often"),
    (
        _HARTREE_PER_BOHR_EV_PER_ANGSTROM,
        "they look as if eV/Å had been multiplied by 51.4 (hartree/bohr) once too often",
    ),
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """reported ≈ slope × predicted + constant, over `components` force components of known elements.

    matters  the reported forces are larger than what the branch is usually off by
    """

    branch: str
    slope: float
    correlation: float
    components: int
    matters: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A branch with the frames and predictions to hold the labels against."""

    name: str
    elements: frozenset[str]
    held_out_force_rmse_mev_per_angstrom: float
    prediction: Prediction

    def knows(self, frame: Frame) -> bool:
        """Whether it has met every element of the frame."""
        return self.elements >= set(frame.symbols)


def agreement(
    branch: str, reported: FloatArray, predicted: FloatArray, fewest: int = _FEWEST_COMPONENTS
) -> Agreement | None:
    """Slope and correlation of numbers [K]; None when there are too few or one side does not vary."""
    if reported.size < fewest or np.ptp(reported) == 0 or np.ptp(predicted) == 0:
        return None
    covariance = np.cov(predicted, reported)
    slope = float(covariance[0, 1] / covariance[0, 0])
    correlation = float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    return Agreement(branch, slope, correlation, int(reported.size))


def judge_labels(
    frames: Sequence[Frame], candidates: Sequence[Candidate], limits: Limits, consistent: bool = False
) -> tuple[Agreement | None, RuleResult | None]:
    """The best agreement that any branch finds on elements that it knows, and what that says of the forces.

    A sign or a unit is named only where the agreement is clear apart from it; beside elements that the branch has
    never met, only where it is nearly perfect: correct forces of new chemistry often run against what a model
    makes of them. "Unrelated" is said only where the branch shows by the energies that it understands the structures,
    all of whose elements it knows, and of forces above its own error: data is not at fault for being new, nor relaxed
    structures for having no forces.
    `consistent`: energies and forces were found to belong together, so neither order nor sign is wrong.
    No rule result: nothing to hold against.
    """
    found = [one for candidate in candidates if (one := _compare(frames, candidate, range(len(frames)))) is not None]
    familiar = [one for candidate in candidates if (one := _familiar(frames, candidate)) is not None]
    missing = next((text for candidate in candidates if (text := _missing(frames, candidate)) is not None), None)
    if missing is not None:
        return None, RuleResult(rule=PLAUSIBLE_LABELS, passed=False, sentence=missing, numbers={"forces": 0.0})
    if not found:
        return None, None
    best = max(found, key=_strength)
    told, diagnosis = best, None
    if familiar:
        told = max(familiar, key=_strength)
        diagnosis = _sign_or_unit(told, limits, consistent)
        if diagnosis is None and not consistent and told.correlation < limits.correlation_floor and told.matters:
            diagnosis = _unrelated(told, limits) if _understood(frames, candidates, told, limits) else None
    if diagnosis is None and _strength(best) >= limits.partly_known_correlation:
        told, diagnosis = best, _sign_or_unit(best, limits, consistent)
    numbers = {"slope": told.slope, "correlation": told.correlation, "force_components": float(told.components)}
    sentence = diagnosis or _nothing_said(told, _unmet(frames, candidates, told) if told is best else [])
    return told, RuleResult(rule=PLAUSIBLE_LABELS, passed=diagnosis is None, sentence=sentence, numbers=numbers)


def _unmet(frames: Sequence[Frame], candidates: Sequence[Candidate], told: Agreement) -> list[str]:
    """Elements beside which the branch was asked, and which it has never met; by atomic number."""
    candidate = next(one for one in candidates if one.name == told.branch)
    held = {symbol for frame in frames for symbol in frame.symbols}
    return sorted(held - candidate.elements, key=ATOMIC_NUMBERS.__getitem__)


def _nothing_said(told: Agreement, unmet: Sequence[str]) -> str:
    measured = (
        f"Reported against predicted forces (branch {told.branch}): slope {told.slope:.2f}, "
        f"correlation {told.correlation:.2f}"
    )
    if unmet:
        return (
            f"{measured}, on the elements that it knows. It has never met {listed(unmet)}, and what it makes of forces "
            f"beside such atoms may be of any sign and size: this says nothing of sign or unit."
        )
    return f"{measured}; nothing points to a wrong sign or unit."


def _strength(found: Agreement) -> float:
    return abs(found.correlation)


def _known(frames: Sequence[Frame], candidate: Candidate) -> list[int]:
    return [index for index, frame in enumerate(frames) if candidate.knows(frame)]


def _familiar(frames: Sequence[Frame], candidate: Candidate) -> Agreement | None:
    """On frames all of whose elements the branch knows."""
    known = _known(frames, candidate)
    found = _compare(frames, candidate, known)
    return found if found is None else replace(found, matters=_forces_matter(frames, known, candidate))


def _missing(frames: Sequence[Frame], candidate: Candidate) -> str | None:
    """Every force is zero where the branch, on elements that it knows, expects forces far above its error."""
    known = _known(frames, candidate)
    if not known or any(frame.forces.any() for frame in frames):
        return None
    size = float(np.sqrt(np.mean(np.concatenate([candidate.prediction.forces[one].ravel() for one in known]) ** 2)))
    if 1000 * size < _CLEARLY * candidate.held_out_force_rmse_mev_per_angstrom:
        return None
    return (
        f"All forces are zero, where branch {candidate.name} expects {significant(size)} eV/Å (root mean square): they "
        f"were not computed, or not read."
    )


def energy_agreement(frames: Sequence[Frame], candidate: Candidate) -> Agreement | None:
    """Reported against predicted energies per atom, less what composition explains, on elements that it knows."""
    known = _known(frames, candidate)
    if not known:
        return None
    chosen = [frames[one] for one in known]
    reported = _within_composition(chosen, np.array([frame.energy for frame in chosen]))
    return agreement(
        candidate.name, reported, _within_composition(chosen, candidate.prediction.energy[known]), _FEWEST_FRAMES
    )


def _within_composition(frames: Sequence[Frame], energies: FloatArray) -> FloatArray:
    counts = element_counts(frames)
    return np.asarray(align_energies(counts, energies).residual / counts.sum(axis=1), dtype=np.float64)


def _understood(frames: Sequence[Frame], candidates: Sequence[Candidate], forces: Agreement, limits: Limits) -> bool:
    """The branch predicts energies very well and forces of the right size: what it does not predict is their order."""
    candidate = next(one for one in candidates if one.name == forces.branch)
    energies, known = energy_agreement(frames, candidate), _known(frames, candidate)
    if energies is None or energies.correlation < limits.understood_correlation:
        return False
    reported, predicted = (
        float(np.sqrt(np.mean(np.concatenate([one.ravel() for one in side]) ** 2)))
        for side in ([frames[one].forces for one in known], [candidate.prediction.forces[one] for one in known])
    )
    return 1 / _SIZE_TOLERANCE < reported / predicted < _SIZE_TOLERANCE


def _compare(frames: Sequence[Frame], candidate: Candidate, which: Collection[int] | range) -> Agreement | None:
    reported, predicted = [], []
    for index in which:
        symbols = frames[index].symbols
        known = np.array([symbol in candidate.elements for symbol in symbols], dtype=bool)
        reported.append(frames[index].forces[known].ravel())
        predicted.append(candidate.prediction.forces[index][known].ravel())
    if not reported:
        return None
    return agreement(candidate.name, np.concatenate(reported), np.concatenate(predicted))


def _forces_matter(frames: Sequence[Frame], which: Sequence[int], candidate: Candidate) -> bool:
    if not which:
        return False
    components = np.concatenate([frames[index].forces.ravel() for index in which])
    size_mev = 1000 * float(np.sqrt(np.mean(components**2)))
    return size_mev > candidate.held_out_force_rmse_mev_per_angstrom


def _sign_or_unit(found: Agreement, limits: Limits, consistent: bool) -> str | None:
    size, strength = abs(found.slope), abs(found.correlation)
    flipped = found.slope < 0
    against = f"branch {found.branch}; slope {found.slope:.3g}, correlation {found.correlation:.2f}"
    if strength >= limits.unit_correlation:
        for factor, text in _UNITS:
            if factor / _FACTOR_TOLERANCE < size < factor * _FACTOR_TOLERANCE:
                also = " Their sign is turned too." if flipped else ""
                return f"The forces have another unit: {text} ({against}).{also}"
    if (
        flipped
        and not consistent
        and strength >= limits.sign_correlation
        and 1 / _SIGN_TOLERANCE < size < _SIGN_TOLERANCE
    ):
        return (
            f"The forces point the wrong way: their sign is turned, as when the energy's gradient is given "
            f"for the force ({against})."
        )
    return None


def _unrelated(found: Agreement, limits: Limits) -> str:
    return (
        f"The forces look unrelated to the structures, as when atoms or frames were shuffled: branch {found.branch} "
        f"predicts the energies well, but the correlation of its forces with these is {found.correlation:.2f}, and "
        f"{limits.correlation_floor:g} is the least to be expected."
    )
