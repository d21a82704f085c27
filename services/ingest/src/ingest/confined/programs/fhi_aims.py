"""FHI-aims: molecular dynamics and single points."""

import re

from ingest.confined.programs.spec import FormatSpec

_CONTENT = re.compile(rb"Invoking FHI-aims")
_MANY_STEPS = re.compile(rb"(?m)^ *(MD_run|relax_geometry|MD_MB_init) |Molecular dynamics|Geometry relaxation")

FORMATS = (
    FormatSpec(
        name="fhi_aims/scf",
        title="FHI-aims single point",
        example="aims.out",
        reads="file",
        names=("*.out",),
        content=_CONTENT,
        told_by="Invoking FHI-aims",
        only_if=lambda _path, head: _MANY_STEPS.search(head) is None,
    ),
    FormatSpec(
        name="fhi_aims/output",
        title="FHI-aims molecular dynamics or relaxation",
        example="aims.out",
        reads="file",
        names=("*.out",),
        content=_CONTENT,
        told_by="Invoking FHI-aims and molecular dynamics or a relaxation",
    ),
)
