"""The level of theory: what the files tell, what the contributor declared, and where the two disagree. Pure rules."""

import re
from collections.abc import Callable
from typing import Any

from contracts.base import LevelOfTheory, TheoryMismatch

_CUTOFF_TOLERANCE_EV = 1.0
_PROGRAMS = (
    ("quantumespresso", "qe"), ("pwscf", "qe"), ("pwx", "qe"), ("espresso", "qe"), ("qe", "qe"), ("vasp", "vasp"),
    ("cp2k", "cp2k"), ("abacus", "abacus"), ("gaussian", "gaussian"), ("orca", "orca"), ("siesta", "siesta"),
    ("fhiaims", "fhiaims"), ("aims", "fhiaims"), ("openmx", "openmx"), ("pwmat", "pwmat"), ("psi4", "psi4"),
    ("dftb", "dftb+"), ("castep", "castep"), ("abinit", "abinit"),
)  # fmt: skip
_SAME_FUNCTIONAL = {
    "pe": "pbe",
    "ggape": "pbe",
    "ps": "pbesol",
    "becke3lyp": "b3lyp",
    "rb3lyp": "b3lyp",
    "ub3lyp": "b3lyp",
}


def level_of_theory(said: dict[str, str | float], declared: LevelOfTheory | None) -> LevelOfTheory:
    """What the files tell, and where they are silent what the contributor told."""
    told = declared.model_dump(exclude_none=True) if declared is not None else {}
    known = {name: value for name, value in said.items() if name in LevelOfTheory.model_fields}
    return LevelOfTheory.model_validate(told | known)


def mismatches(said: dict[str, str | float], declared: LevelOfTheory | None) -> tuple[TheoryMismatch, ...]:
    """Fields that both tell, and differently. Spelling is no difference; a basis is compared as a set of words."""
    if declared is None:
        return ()
    found = []
    for name, same in _SAME.items():
        told, read = getattr(declared, name), said.get(name)
        if told is not None and read is not None and str(told).strip() and not same(told, read):
            found.append(TheoryMismatch(field=name, declared=_shown(name, told), found=_shown(name, read)))
    return tuple(found)


def _shown(name: str, value: Any) -> str:
    return f"{float(value):g} eV" if name == "cutoff_ev" and isinstance(value, int | float) else str(value)


def _plain(text: str) -> str:
    """Lower case, without brackets and what is not a letter or digit: 'PBE (PAW)' is 'pbe'."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", text.lower()))


def _program(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    return next((name for begins, name in _PROGRAMS if begins in plain), re.sub(r"[0-9].*", "", plain))


def _same_code(declared: Any, found: Any) -> bool:
    return _program(str(declared)) == _program(str(found))


def _same_functional(declared: Any, found: Any) -> bool:
    one, other = (_SAME_FUNCTIONAL.get(_plain(str(text)), _plain(str(text))) for text in (declared, found))
    return one == other


def _same_cutoff(declared: Any, found: Any) -> bool:
    try:
        return abs(float(declared) - float(found)) <= _CUTOFF_TOLERANCE_EV
    except ValueError:
        return False


def _same_mesh(declared: Any, found: Any) -> bool:
    """Divisions, and shifts where both tell them: '2 2 2' is '2x2x2' and '2 2 2 0 0 0'."""
    one, other = (re.findall(r"\d+", str(text)) for text in (declared, found))
    if not one or not other:
        return _plain(str(declared)) == _plain(str(found))
    shortest = min(len(one), len(other))
    return shortest >= 3 and one[:shortest] == other[:shortest]


def _same_basis(declared: Any, found: Any) -> bool:
    """What was declared must be among what was found: files list every element's basis or pseudopotential."""
    read = _plain(str(found))
    return all(_plain(word) in read for word in re.split(r"[,;\s]+", str(declared)))


_SAME: dict[str, Callable[[Any, Any], bool]] = {
    "code": _same_code,
    "functional": _same_functional,
    "cutoff_ev": _same_cutoff,
    "k_points": _same_mesh,
    "basis": _same_basis,
}
