"""Gaussian: log files and formatted checkpoints."""

import re

from ingest.confined.programs.spec import FormatSpec, Signs

_CONTENT = re.compile(rb"Entering Gaussian System|Gaussian, Inc\.")
_DYNAMICS = re.compile(rb"(?im)^ #[^\n]*(\n [^\n-]+)*?(BOMD|ADMP)|Trajectory Number +\d")
_SIGNS = Signs(
    finished=rb"Normal termination", unconverged=rb"Convergence failure", forces=rb"Forces \(Hartrees/Bohr\)"
)


FORMATS = (
    FormatSpec(
        name="gaussian/md",
        title="Gaussian log of molecular dynamics",
        example="dynamics.log of a job with BOMD or ADMP",
        reads="file",
        names=("*.log", "*.out"),
        content=_CONTENT,
        told_by="Gaussian and a job of molecular dynamics",
        only_if=lambda _path, head: _DYNAMICS.search(head) is not None,
        # A relaxation, too, is a log of many frames.
        also=("gaussian/log",),
        signs=_SIGNS,
    ),
    FormatSpec(
        name="gaussian/log",
        title="Gaussian log",
        example="molecule.log of a job with force",
        reads="file",
        names=("*.log", "*.out"),
        content=_CONTENT,
        told_by="Entering Gaussian System",
        signs=_SIGNS,
    ),
    FormatSpec(
        name="gaussian/fchk",
        title="Gaussian formatted checkpoint",
        example="molecule.fchk",
        reads="file",
        names=("*.fchk", "*.fch"),
        content=re.compile(rb"(?m)^Number of atoms +I +\d+"),
        told_by="Number of atoms",
    ),
)
