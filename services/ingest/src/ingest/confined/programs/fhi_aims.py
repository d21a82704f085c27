"""FHI-aims: molecular dynamics and single points."""

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.confined.programs.spec import (
    FormatSpec,
    Refusal,
    Signs,
    Theory,
    code,
    first,
    listed,
    matching_lines,
    said,
    start_of,
)

_CONTENT = re.compile(rb"FHI-aims")
_DYNAMICS = re.compile(rb"(?m)^ *MD_(run|schedule|segment) ")
_RELAXATION = re.compile(r"(?m)^ *relax_geometry +(?!none)")
_SIGNS = Signs(
    finished=rb"Have a nice day",
    unconverged=rb"Self-consistency cycle did not converge|SELF-CONSISTENCY CYCLE DID NOT CONVERGE",
    forces=rb"Total atomic forces",
    remedy="Set compute_forces .true. in control.in.",
)


def _theory(text: str) -> Theory:
    version = first(r"^\s*(?:FHI-aims )?version\s*:?\s+(\S+)\s*$", text)
    return said(
        code=code("FHI-aims", version),
        functional=first(r"^\s*xc\s+(\S+)", text),
        k_points=first(r"^\s*k_grid\s+(\d+\s+\d+\s+\d+)", text),
        basis=listed([one.lower() for one in re.findall(r'(?i)suggested "(\w+)" defaults', text)]),
    )


def _converged(texts: Sequence[Path]) -> bool | None:
    """dpdata leaves out, and says so, what did not converge."""
    return True if next(matching_lines(texts[0], rb"Self-consistency cycle converged"), None) else None


def _refuses(texts: Sequence[Path]) -> Refusal | None:
    """After a relaxation's forces stands the structure of the next step: dpdata would pair the two."""
    text = start_of(texts)
    if _RELAXATION.search(text):
        reason = "it is a relaxation, of which dpdata pairs each structure with the forces of the step before"
        return "unsupported", reason, "Export the steps as extxyz, e.g. with ASE, and upload that."
    if re.search(r"(?m)^ *atom_frac ", text) and _DYNAMICS.search(text.encode()):
        reason = "its geometry.in has atom_frac, with which dpdata misses the first structure"
        return "unsupported", reason, "Export the steps as extxyz, e.g. with ASE, and upload that."
    return None


FORMATS = (
    FormatSpec(
        name="fhi_aims/output",
        title="FHI-aims molecular dynamics",
        example="aims.out of a run with MD_run",
        reads="file",
        names=("*.out",),
        content=_CONTENT,
        told_by="FHI-aims and MD_run",
        only_if=lambda _path, text: _DYNAMICS.search(text) is not None,
        theory=_theory,
        converged=_converged,
        refuses=_refuses,
        signs=_SIGNS,
    ),
    FormatSpec(
        name="fhi_aims/scf",
        title="FHI-aims single point",
        example="aims.out",
        reads="file",
        names=("*.out",),
        content=_CONTENT,
        told_by="FHI-aims",
        theory=_theory,
        converged=_converged,
        refuses=_refuses,
        signs=_SIGNS,
    ),
)
