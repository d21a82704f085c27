"""What dpdata does not tell about its formats, from all the modules of `programs`.

The list of formats itself comes from dpdata at run time (`confined.catalogue`); a format that is not here is
offered all the same, as one file a calculation.
"""

from collections.abc import Iterator
from itertools import groupby

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
from ingest.confined.programs.spec import FormatSpec

# Where two formats are equally likely, the first one wins: what programs write comes before what people make of it.
_PROGRAMS = (
    vasp, quantum_espresso, cp2k, abacus, gaussian, orca, psi4, fhi_aims, siesta, openmx, dftbplus, amber, n2p2, pwmat,
    deepmd, xyz, ase,
)  # fmt: skip
FORMATS: dict[str, FormatSpec] = {spec.name: spec for program in _PROGRAMS for spec in program.FORMATS}

# Formats of one program share a pattern, which is searched once; to hash it would take longer than to search it.
_RULES = tuple(
    (pattern, specs[0].words, specs)
    for pattern, specs in (
        (pattern, tuple(specs)) for pattern, specs in groupby(FORMATS.values(), key=lambda spec: spec.content)
    )
    if pattern is not None
)
# Programs say in their first lines who they are.
_FIRST_BYTES = 1 << 11

# Names that many programs give to their output: they tell nothing.
EVERYBODYS_NAMES = frozenset({"*.out", "*.log", "*.dat", "*.data", "output"})


def content(path: str, text: bytes) -> str | None:
    """The format that `text`, the head of that file, speaks for; its first lines count most."""
    if (name := at_first_sight(text)) is not None:
        return name
    return next((one.name for one in _fitting(text) if one.only_if is None or one.only_if(path, text)), None)


def at_first_sight(text: bytes) -> str | None:
    """The format that the first lines of a longer text speak for; None: more must be looked at."""
    if len(text) <= _FIRST_BYTES:
        return None
    spec = next(_fitting(text[:_FIRST_BYTES]), None)
    return spec.name if spec is not None and spec.only_if is None else None


def _fitting(text: bytes) -> Iterator[FormatSpec]:
    """Formats whose patterns are in the text, in order."""
    for pattern, words, specs in _RULES:
        for word in words:
            if word in text:
                if pattern.search(text):
                    yield from specs
                break


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
