"""FHI-aims: molecular dynamics and single points."""

import re

from ingest.confined.programs.spec import (
    FormatSpec,
    Signs,
    Theory,
    code,
    first,
    listed,
    said,
)

_CONTENT = re.compile(rb"FHI-aims")
_MANY_STEPS = re.compile(rb"(?m)^ *(MD_(run|schedule|segment)|relax_geometry) +(?!none)")
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


FORMATS = (
    FormatSpec(
        name="fhi_aims/output",
        title="FHI-aims molecular dynamics or relaxation",
        example="aims.out of a run with MD_run or relax_geometry",
        reads="file",
        names=("*.out",),
        content=_CONTENT,
        words=(b"FHI-aims",),
        told_by="FHI-aims and MD_run or relax_geometry",
        only_if=lambda _path, text: _MANY_STEPS.search(text) is not None,
        also=("fhi_aims/scf",),
        theory=_theory,
        signs=_SIGNS,
    ),
    FormatSpec(
        name="fhi_aims/scf",
        title="FHI-aims single point",
        example="aims.out",
        reads="file",
        names=("*.out",),
        content=_CONTENT,
        words=(b"FHI-aims",),
        told_by="FHI-aims",
        theory=_theory,
        signs=_SIGNS,
    ),
)
