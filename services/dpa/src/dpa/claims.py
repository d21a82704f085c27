"""What is published of a branch, against what was measured again: pure comparison. Imports nothing heavy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from frames.score import score

# Single precision on other hardware moves an RMSE in its sixth digit; a wrong frame or weight far more.
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 0.01
"""In the number's own unit, meV/atom or meV/Å; of numbers in eV/Å and of scores a thousandth of it."""

ENERGY = "energy_rmse_mev_per_atom"
FORCE = "force_rmse_mev_per_angstrom"
THRESHOLD = "threshold_ev_per_angstrom"
BASELINE_ENERGY = "baseline_energy_rmse_mev_per_atom"
BASELINE_FORCE = "baseline_force_rmse_mev_per_angstrom"
SCORE = "score_held_out"
STANDARD_SCORE = "standard_score"
ENERGIES = "baseline_element_energies_ev"
ELEMENT_TOLERANCE_EV = 1e-5
"""Energies of elements are fitted in double precision to the same numbers, and are large beside what they explain."""

STANDARD = "standard"

State = Literal["matches", "differs", "not-rederived"]


@dataclass(frozen=True, slots=True)
class StandardClaim:
    """What is published of a branch on the standard dataset.

    count             how many frames the published numbers are of
    frames            hashes (hex) of its held-out frames that are in it
    positions         where each is in the branch's LMDB; none: nobody tells, each is looked for
    element_energies  eV per atom, the baseline that was pinned with them; none: nobody tells
    numbers           by the names above
    """

    count: int
    frames: tuple[str, ...]
    positions: tuple[int, ...] | None
    element_energies: Mapping[str, float] | None
    numbers: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A branch as it is published, and the frames on which that was measured.

    held_out          an LMDB folder
    left_out          indices of its frames that were not measured on; none: nobody tells
    element_energies  eV per atom, the baseline; none: nobody tells
    numbers           by the names above
    train             an LMDB folder; none: not here
    fitted_to         indices of the training frames that the element energies were fitted to; none: nobody tells
    standard          none: nothing is published, or nobody tells the frames
    """

    branch: str
    held_out: Path
    left_out: tuple[int, ...] | None
    element_energies: Mapping[str, float] | None
    numbers: Mapping[str, float | None]
    frames: int | None = None
    train: Path | None = None
    fitted_to: tuple[int, ...] | None = None
    standard: StandardClaim | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A branch measured again; numbers by the same names.

    element_energies  fitted again; none: it was not asked for
    standard          on the standard frames that are where they are told to be; none: it was not asked for, or none is
    """

    branch: str
    frames: int
    numbers: dict[str, float] = field(default_factory=dict)
    element_energies: dict[str, float] | None = None
    standard: "Measured | None" = None

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> "Measured":
        """From what a measuring process wrote."""
        standard = told.get("standard")
        return cls(
            branch=told["branch"],
            frames=told["frames"],
            numbers=told["numbers"],
            element_energies=told.get("element_energies"),
            standard=None if standard is None else cls.told(standard),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement that was looked at. `why`: of what differs or could not be derived, in words."""

    what: str
    state: State
    published: float | str | None = None
    found: float | str | None = None
    why: str = ""


def agree(published: float, found: float, what: str) -> bool:
    """Within the tolerance that is stated."""
    absolute = ABSOLUTE_TOLERANCE if "_mev_" in what else ABSOLUTE_TOLERANCE / 1e3
    return math.isfinite(found) and math.isclose(published, found, rel_tol=RELATIVE_TOLERANCE, abs_tol=absolute)


def compared(claim: Claim, measured: Measured) -> list[Finding]:
    """Every number of a branch."""
    findings = []
    if claim.frames is not None and claim.frames != measured.frames:
        why = "the held-out frames that are offered are not those that were measured on"
        findings.append(Finding(f"{claim.branch}.frames", "differs", claim.frames, measured.frames, why))
    for name, published in claim.numbers.items():
        findings.append(number(f"{claim.branch}.{name}", published, measured.numbers.get(name)))
    return [*findings, *_energies(claim, measured), *_on_standard(claim, measured)]


def _energies(claim: Claim, measured: Measured) -> list[Finding]:
    """The baseline's energies against those that its training frames give."""
    if claim.element_energies is None:
        return []  # the baseline's own number says so
    found, what = measured.element_energies, f"{claim.branch}.{ENERGIES}"
    if found is None:
        if claim.train is None:
            why = "the training frames that they were fitted to are not to be had"
        else:
            why = "the manifest does not tell which training frames they were fitted to, as when test frames of other "
            why += "datasets were among them"
        return [Finding(what, "not-rederived", why=why)]
    findings = []
    for element, published in sorted(claim.element_energies.items()):
        mine = found.get(element)
        same = mine is not None and math.isclose(published, mine, rel_tol=0, abs_tol=ELEMENT_TOLERANCE_EV)
        why = "" if mine is not None else "not so many training frames are there, or none has this element"
        findings.append(Finding(f"{what}.{element}", "matches" if same else "differs", published, mine, why))
    return findings


def _on_standard(claim: Claim, measured: Measured) -> list[Finding]:
    if claim.standard is None:
        return []
    told, found = claim.standard, measured.standard
    what = f"{STANDARD}.{claim.branch}"
    here = 0 if found is None else found.frames
    if not here == len(told.frames) == told.count:
        why = "not every frame of the standard dataset is where it is told to be among the held-out frames"
        return [Finding(f"{what}.frames", "differs", told.count, here, why)]
    findings = [Finding(f"{what}.frames", "matches", told.count, here)]
    numbers = {} if found is None else found.numbers
    return findings + [number(f"{what}.{name}", value, numbers.get(name)) for name, value in told.numbers.items()]


def number(what: str, published: float | None, found: float | None) -> Finding:
    """One number. What one side does not have is neither right nor wrong."""
    if published is None:
        return Finding(what, "not-rederived", None, found, "it is not published")
    if found is None:
        return Finding(what, "not-rederived", published, None, "the manifest does not tell what it is made of")
    return Finding(what, "matches" if agree(published, found, what) else "differs", published, found)


def same(what: str, published: float | str | None, found: float | str | None) -> Finding:
    """Of what must be equal to the last digit."""
    return Finding(what, "matches" if published == found else "differs", published, found)


def overall(measured: Sequence[Measured]) -> float | None:
    """E on all held-out frames of these branches; none when a baseline is not known, or no scale."""
    scales = [(one.numbers.get(BASELINE_ENERGY) or 0.0, one.numbers[BASELINE_FORCE]) for one in measured]
    if not measured or any(min(scale) <= 0 for scale in scales):
        return None
    return score(
        (one.numbers[ENERGY] / energy for one, (energy, _) in zip(measured, scales, strict=True)),
        (one.numbers[FORCE] / force for one, (_, force) in zip(measured, scales, strict=True)),
    )


def exit_code(findings: Sequence[Finding]) -> int:
    """0: everything came out again; 1: something differs; 2: nothing differs, not all could be derived."""
    states = {one.state for one in findings}
    return 1 if "differs" in states else 2 if "not-rederived" in states else 0


def sentence(one: Finding) -> str:
    """A finding as a person reads it."""
    numbers = ""
    if isinstance(one.published, float | int) and isinstance(one.found, float | int):
        numbers = f" {one.published:.6g}, found {one.found:.6g}"
    elif one.state == "differs" and not one.why:
        numbers = f" {one.published or 'nothing'}, found {one.found or 'nothing'}"
    return f"{one.what}{numbers}{': ' + one.why if one.why else ''}"


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """What differs first, then what could not be derived, then the rest."""
    return [one for state in ("differs", "not-rederived", "matches") for one in findings if one.state == state]


def document(findings: Sequence[Finding]) -> dict[str, object]:
    """For scripts."""
    return {
        "outcome": ("matches", "differs", "incomplete")[exit_code(findings)],
        "tolerance": {"relative": RELATIVE_TOLERANCE, "absolute_mev": ABSOLUTE_TOLERANCE},
        "findings": [asdict(one) for one in findings],
    }
