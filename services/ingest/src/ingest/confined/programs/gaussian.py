"""Gaussian: log files and formatted checkpoints."""

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.confined.programs.spec import (
    FormatSpec,
    Refusal,
    Signs,
    Theory,
    code,
    matching_lines,
    said,
)

_CONTENT = re.compile(rb"Entering Gaussian System|Gaussian, Inc\.")
_WORDS = (b"Entering Gaussian System", b"Gaussian, Inc.")
_DYNAMICS = re.compile(rb"(?im)^ #[^\n]*(\n [^\n-]+)*?(BOMD|ADMP)|Trajectory Number +\d")
# Methods whose energy stands in a line of its own; 'SCF Done' is the Hartree–Fock energy below them.
_CORRELATED = rb"EUMP[2-5] *=|E\(CORR\) *=|E\(CI\w*\) *=|E\(B2PLYP\w*\) *=|CCSD\(T\) *="
_SIGNS = Signs(
    finished=rb"Normal termination", unconverged=rb"Convergence failure", forces=rb"Forces \(Hartrees/Bohr\)"
)


def _theory(text: str) -> Theory:
    version = re.search(r"^ Gaussian (\d+): +\S+?Rev([A-Z]\.\d+)", text, re.MULTILINE)
    route = re.search(r"^ #[pnt]?\s+((?:[^\n]*\n(?! -))*?[^\n]*)\n -", text, re.MULTILINE | re.IGNORECASE)
    method = re.search(r"(?:^|\s)([^\s/=]+)/([^\s/]+)", route[1].replace("\n ", "")) if route else None
    return said(
        code=code("Gaussian", f"{version[1]} {version[2]}" if version else None),
        functional=method[1] if method else None,
        basis=method[2] if method else None,
    )


def _checkpoint_theory(text: str) -> Theory:
    """The second line: kind of job in ten columns, method in thirty, basis in thirty."""
    lines = text.split("\n", 2)
    words = lines[1][10:].split() if len(lines) > 2 else []
    method = re.sub(r"^(RO|R|U)(?=[A-Z0-9])", "", words[0]) if words else None
    return said(code="Gaussian", functional=method, basis=words[1] if len(words) > 1 else None)


def _by_forces(texts: Sequence[Path]) -> list[bool | None]:
    """For each set of forces, what the last self-consistency before it said."""
    states: list[bool | None] = []
    converged: bool | None = None
    failed = False
    for match in matching_lines(texts[0], rb"SCF Done:|Convergence criterion not met|Forces \(Hartrees/Bohr\)"):
        if match[0].startswith(b"Convergence"):
            failed = True
        elif match[0].startswith(b"SCF"):
            converged, failed = not failed, False
        else:
            states.append(converged)
    return states


def _last(texts: Sequence[Path]) -> list[bool | None]:
    """dpdata reads the last step alone."""
    return _by_forces(texts)[-1:]


def _refuses(texts: Sequence[Path]) -> Refusal | None:
    if next(matching_lines(texts[0], _CORRELATED), None) is None:
        return None
    reason = "the forces are of a method beyond self-consistency (e.g. MP2), while the energy read is that of the SCF"
    return "energy-of-another-method", reason, "Export it as extxyz with the energy that belongs to the forces."


FORMATS = (
    FormatSpec(
        name="gaussian/md",
        title="Gaussian log of molecular dynamics",
        example="dynamics.log of a job with BOMD or ADMP",
        reads="file",
        names=("*.log", "*.out"),
        content=_CONTENT,
        words=_WORDS,
        told_by="Gaussian and a job of BOMD or ADMP",
        only_if=lambda _path, text: _DYNAMICS.search(text) is not None,
        # A relaxation, too, is a log of many frames.
        also=("gaussian/log",),
        theory=_theory,
        converged=_by_forces,
        refuses=_refuses,
        signs=_SIGNS,
    ),
    FormatSpec(
        name="gaussian/log",
        title="Gaussian log",
        example="molecule.log of a job with force",
        reads="file",
        names=("*.log", "*.out"),
        content=_CONTENT,
        words=_WORDS,
        told_by="Gaussian",
        theory=_theory,
        converged=_last,
        refuses=_refuses,
        signs=_SIGNS,
    ),
    FormatSpec(
        name="gaussian/fchk",
        title="Gaussian formatted checkpoint",
        example="molecule.fchk",
        reads="file",
        names=("*.fchk", "*.fch"),
        content=re.compile(rb"(?m)^Number of atoms +I +\d+"),
        words=(b"Number of atoms ",),
        told_by="Number of atoms",
        twins=("gaussian/log", "gaussian/md"),
        # Without it dpdata demands second derivatives, which a job with forces alone does not have.
        options=(("has_hessian", False),),
        theory=_checkpoint_theory,
    ),
)
