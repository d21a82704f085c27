"""What dpdata does not tell about its formats, from all the modules of `programs`.

The list of formats itself comes from dpdata at run time (`confined.catalogue`); a format that is not here is
offered all the same, as one file a calculation.
"""

import re
from pathlib import Path

from ingest.confined.programs import (
    abacus,
    amber,
    ase,
    cp2k,
    deepmd,
    dftbplus,
    fhi_aims,
    gaussian,
    n2p2,
    openmx,
    orca,
    psi4,
    pwmat,
    quantum_espresso,
    siesta,
    vasp,
    xyz,
)
from ingest.confined.programs.spec import FormatSpec, head

# Where two formats are equally likely, the first one wins: what programs write comes before what people make of it.
_PROGRAMS = (
    vasp, quantum_espresso, cp2k, abacus, gaussian, orca, psi4, fhi_aims, siesta, openmx, dftbplus, amber, n2p2, pwmat,
    deepmd, xyz, ase,
)  # fmt: skip
FORMATS: dict[str, FormatSpec] = {spec.name: spec for program in _PROGRAMS for spec in program.FORMATS}

# Names that many programs give to their output: they tell nothing.
EVERYBODYS_NAMES = frozenset({"*.out", "*.log", "*.dat", "*.data", "output"})


def content(path: Path) -> str | None:
    """The format that the head of a file speaks for."""
    text = head(path)
    # Formats of one program share a pattern: it is searched once, and those after the first that fits not at all.
    fits: dict[re.Pattern[bytes], bool] = {}
    for name, spec in FORMATS.items():
        if spec.content is None:
            continue
        if spec.content not in fits:
            fits[spec.content] = spec.content.search(text) is not None
        if fits[spec.content] and spec.only_if(path, text):
            return name
    return None


def recognised(name: str) -> bool:
    """Whether content can speak for that format, or for one whose files it reads."""
    return any(one in FORMATS and FORMATS[one].content is not None for one in takes(name))


def takes(name: str) -> tuple[str, ...]:
    """The formats whose files that format's reader takes, itself first."""
    spec = FORMATS.get(name)
    return (name, *spec.also) if spec else (name,)


def program(name: str) -> str:
    """The first part of a format's name, e.g. 'vasp'."""
    return name.split("/", 1)[0]


def telling(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that speak for one program."""
    return tuple(pattern for pattern in names if pattern not in EVERYBODYS_NAMES)
