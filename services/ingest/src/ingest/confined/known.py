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

_NOT_A_LETTER = re.compile(rb"\\[dsSwWA]|\[[^\]]*\]|[\^$.+(){}]")


def needles(pattern: re.Pattern[bytes]) -> tuple[bytes, ...]:
    """Words of which a text that the pattern matches has one; empty when only the pattern itself can tell.

    To look for a word in the head of a file takes microseconds, to search for a pattern up to a hundred times as
    long, and archives have hundreds of thousands of files. Made for patterns of alternatives at the top level.
    """
    source = re.sub(rb"^\(\?\w+\)", b"", pattern.pattern)
    if source.startswith(rb"\A") or re.search(rb"\([^)]*\|", source):
        return ()
    words = []
    for branch in re.split(rb"(?<!\\)\|", source):
        # What may be missing or be one of several is no part of a word.
        certain = re.sub(rb"(?:\\.|\[[^\]]*\]|[^\\])[*?]", b"\0", branch)
        plain = re.sub(rb"\\(\W)", rb"\1", _NOT_A_LETTER.sub(b"\0", certain))
        words.append(max(plain.split(b"\0"), key=len))
    return tuple(words) if min(map(len, words)) >= _SHORTEST_NEEDLE else ()


_SHORTEST_NEEDLE = 4


def _rule(
    spec: FormatSpec, pattern: re.Pattern[bytes]
) -> tuple[FormatSpec, re.Pattern[bytes], bool, tuple[bytes, ...]]:
    """What `content` goes by: whether case counts is asked once, not for each of a million files."""
    folded = bool(pattern.flags & re.IGNORECASE)
    return spec, pattern, folded, tuple(word.lower() if folded else word for word in needles(pattern))


_RULES = [_rule(spec, spec.content) for spec in FORMATS.values() if spec.content is not None]

# Names that many programs give to their output: they tell nothing.
EVERYBODYS_NAMES = frozenset({"*.out", "*.log", "*.dat", "*.data", "output"})


def content(path: Path) -> str | None:
    """The format that the head of a file speaks for."""
    text = head(path)
    lower: bytes | None = None
    # Formats of one program share a pattern: it is searched once.
    fits: dict[re.Pattern[bytes], bool] = {}
    for spec, pattern, folded, words in _RULES:
        if pattern not in fits:
            if folded and lower is None:
                lower = text.lower()
            searched = lower if folded and lower is not None else text
            for word in words:
                if word in searched:
                    break
            else:
                if words:
                    fits[pattern] = False
                    continue
            fits[pattern] = pattern.search(text) is not None
        if fits[pattern] and spec.only_if(path, text):
            return spec.name
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
