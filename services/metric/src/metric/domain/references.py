"""Energies and virials against a branch that shows by the forces that it understands the structures."""

from collections.abc import Sequence

import numpy as np
from contracts.base import RuleResult
from frames.frame import FloatArray, Frame

from metric.domain.limits import Limits
from metric.domain.plausibility import Agreement, Candidate, agreement, energy_agreement

PLAUSIBLE_ENERGIES = "plausible-energies"
PLAUSIBLE_VIRIALS = "plausible-virials"

# The branch is believed when its forces agree so well, by size too.
_BELIEVED_CORRELATION = 0.8
_BELIEVED_SLOPE = (0.5, 2.0)
# Small models flatten energies: a factor below this says nothing.
_LEAST_FACTOR = 5.0
_FACTOR_TOLERANCE = 1.15
_SLOPE_TOLERANCE = 2.0
_VIRIAL_TOLERANCE = 1.5
_UNIT_CORRELATION = 0.8
_HARTREE_EV = 27.211386
_ENERGY_UNITS: tuple[tuple[float, str], ...] = (
    (1 / _HARTREE_EV, "hartree that were taken for eV"),
    (2 / _HARTREE_EV, "rydberg that were taken for eV"),
    (_HARTREE_EV, "eV that were multiplied by 27.2 (hartree to eV) once too often"),
)
_KBAR_PER_EV_CUBIC_ANGSTROM = 1602.1766


def judge_energies(
    frames: Sequence[Frame],
    candidates: Sequence[Candidate],
    forces: Agreement | None,
    limits: Limits,
    factor: float | None = None,
) -> RuleResult | None:
    """Sign and unit of energies per atom, less what composition explains; None: nothing to hold against.

    Levels of theory differ by a shift of each element, never by a factor of five: only such a factor is named.
    `factor`: by how much energies change for the work of the forces, where that is known: forces that agree with
    the branch make it the exact unit, and small models flatten energies.
    """
    believed = _believed(frames, candidates, forces)
    if believed is None:
        return None
    candidate, known = believed
    found = energy_agreement(frames, candidate)
    if found is None:
        return None
    told = None
    measured = f"branch {found.branch}; slope {found.slope:.3g}, correlation {found.correlation:.2f}"
    if abs(found.correlation) >= limits.energy_correlation:
        told = _energy_cause(found, [frames[one] for one in known], factor, measured)
    sentence = told or f"Reported against predicted energies ({measured}): nothing points to a wrong sign or unit."
    return RuleResult(rule=PLAUSIBLE_ENERGIES, passed=told is None, sentence=sentence, numbers=_numbers(found))


def judge_virials(
    frames: Sequence[Frame], candidates: Sequence[Candidate], forces: Agreement | None, limits: Limits
) -> RuleResult | None:
    """Sign and unit of the virials' differences between frames: their mean depends on the basis, and is left out."""
    believed = _believed(frames, candidates, forces)
    if believed is None or believed[0].prediction.virial is None:
        return None
    candidate, known = believed[0], [one for one in believed[1] if frames[one].virial is not None]
    predicted = believed[0].prediction.virial
    if not known:
        return None
    reported = np.array([frames[one].virial for one in known]) / _natoms(frames, known)
    expected = np.array([predicted[one] for one in known]) / _natoms(frames, known)
    found = agreement(candidate.name, _components(reported), _components(expected))
    if found is None:
        return None
    told = None
    measured = f"branch {found.branch}; slope {found.slope:.3g}, correlation {found.correlation:.2f}"
    volumes = [abs(float(np.linalg.det(cell))) for one in known if (cell := frames[one].cell) is not None]
    if found.correlation <= -limits.virial_correlation:
        told = f"The virials have the wrong sign (a virial is −volume × stress): {measured}."
    elif found.correlation >= _UNIT_CORRELATION and volumes:
        told = _virial_cause(found.slope, float(np.median(volumes)), measured)
    if told is not None:
        told += " Without virials the dataset would do as well."
    sentence = told or f"Reported against predicted virials ({measured}): nothing points to a wrong sign or unit."
    return RuleResult(rule=PLAUSIBLE_VIRIALS, passed=told is None, sentence=sentence, numbers=_numbers(found))


def _believed(
    frames: Sequence[Frame], candidates: Sequence[Candidate], forces: Agreement | None
) -> tuple[Candidate, list[int]] | None:
    """The branch that predicts these frames' forces well, and the frames of which it knows every element."""
    low, high = _BELIEVED_SLOPE
    if forces is None or forces.correlation < _BELIEVED_CORRELATION or not low < forces.slope < high:
        return None
    candidate = next(one for one in candidates if one.name == forces.branch)
    known = [number for number, frame in enumerate(frames) if candidate.knows(frame)]
    return (candidate, known) if known else None


def _energy_cause(found: Agreement, frames: Sequence[Frame], factor: float | None, measured: str) -> str | None:
    size, tolerance = (abs(found.slope), _SLOPE_TOLERANCE) if factor is None else (abs(factor), _FACTOR_TOLERANCE)
    turned = " Their sign is turned too." if found.slope < 0 else ""
    if size > _LEAST_FACTOR or size < 1 / _LEAST_FACTOR:
        units = [text for unit, text in _ENERGY_UNITS if _near(size, unit, tolerance)]
        atoms = {frame.natoms for frame in frames}
        if len(atoms) == 1 and _near(size, 1 / min(atoms), tolerance):
            units.append("energies per atom where those of the whole structure are meant")
        looks = f"they look like {', or '.join(units)}" if units else "they do not match the forces, which agree"
        return f"The energies have another unit: {looks} ({measured}).{turned}"
    if found.slope < 0:
        return f"The sign of the energies is turned: they rise where they should fall ({measured})."
    return None


def _virial_cause(slope: float, volume: float, measured: str) -> str | None:
    stresses = {
        "eV/Å³": 1 / volume,
        "kbar": _KBAR_PER_EV_CUBIC_ANGSTROM / volume,
        "GPa": _KBAR_PER_EV_CUBIC_ANGSTROM / 10 / volume,
        "hartree": 1 / _HARTREE_EV,
    }
    if 1 / _LEAST_FACTOR < slope < _LEAST_FACTOR:
        return None
    looks = [f"they look like {'virials' if unit == 'hartree' else 'stresses'} in {unit}" for unit, factor in
             stresses.items() if _near(slope, factor, _VIRIAL_TOLERANCE)]  # fmt: skip
    return f"The virials are not in eV: {', or '.join(looks) or 'their unit is another'} ({measured})."


def _near(value: float, factor: float, tolerance: float) -> bool:
    return factor / tolerance < value < factor * tolerance


def _natoms(frames: Sequence[Frame], which: Sequence[int]) -> FloatArray:
    return np.array([frames[one].natoms for one in which], dtype=np.float64)[:, None, None]


def _components(virials: FloatArray) -> FloatArray:
    """The six of each frame, less their mean over the frames: float64 [6 F]."""
    rows, columns = np.triu_indices(3)
    six = virials[:, rows, columns]
    return np.asarray((six - six.mean(axis=0)).ravel(), dtype=np.float64)


def _numbers(found: Agreement) -> dict[str, float]:
    return {"slope": found.slope, "correlation": found.correlation, "values": float(found.components)}
