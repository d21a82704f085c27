"""SIESTA: single points and molecular dynamics."""

import re

from ingest.confined.programs.spec import RYDBERG_EV, FormatSpec, Signs, Theory, code, energy_ev, first, said

_CONTENT = re.compile(rb"(?:siesta|Siesta|SIESTA) [vV]|WELCOME TO SIESTA")
_WORDS = (b"iesta ", b"SIESTA")
_DYNAMICS = re.compile(
    rb"(?im)Begin MD step|^ *MD\.TypeOfRun +(Verlet|Nose|ParrinelloRahman|NoseParrinelloRahman|Anneal)"
)
_SIGNS = Signs(
    finished=rb"Job completed|End of run",
    unconverged=rb"SCF_NOT_CONV|SCF did not converge",
    forces=rb"siesta: Atomic forces",
    remedy="Set WriteForces true in the fdf input.",
)


def _label(name: str) -> str:
    """fdf reads its labels without regard to case, points, dashes and underscores."""
    return r"^\s*" + r"[-_.]?".join(name.split("."))


def _theory(text: str) -> Theory:
    kind, authors = first(_label("XC.functional") + r"\s+(\S+)", text), first(_label("XC.authors") + r"\s+(\S+)", text)
    mesh = re.search(r"(?is)%block\s+kgrid[-_.]?Monkhorst[-_.]?Pack\s*\n((?:[^\n%]*\n){3})", text)
    rows = [line.split() for line in mesh[1].splitlines()] if mesh else []
    diagonal = [row[axis] for axis, row in enumerate(rows) if len(row) > axis]
    version = first(r"^\s*(?:Siesta )?Version\s*:\s*(?:siesta-)?v?(\S+)", text)
    return said(
        code=code("SIESTA", version),
        functional=" ".join(word for word in (kind, authors) if word) or None,
        cutoff_ev=energy_ev(first(r"redata: Mesh Cutoff\s*=\s*([\d.]+)\s*Ry", text), RYDBERG_EV),
        k_points=" ".join(diagonal) if len(diagonal) == 3 else None,
        basis=first(_label("PAO.BasisSize") + r"\s+(\S+)", text),
    )


FORMATS = (
    FormatSpec(
        name="siesta/aimd_output",
        title="SIESTA output of molecular dynamics",
        example="siesta.out",
        reads="file",
        names=("*.out", "output"),
        content=_CONTENT,
        words=_WORDS,
        told_by="the version of SIESTA and molecular dynamics",
        only_if=lambda _path, head: _DYNAMICS.search(head) is not None,
        also=("siesta/output",),
        theory=_theory,
        signs=_SIGNS,
    ),
    FormatSpec(
        name="siesta/output",
        title="SIESTA output",
        example="siesta.out",
        reads="file",
        names=("*.out", "output"),
        content=_CONTENT,
        words=_WORDS,
        told_by="the version of SIESTA",
        also=("siesta/aimd_output",),
        theory=_theory,
        signs=_SIGNS,
    ),
)
