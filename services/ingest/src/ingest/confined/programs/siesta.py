"""SIESTA: single points and molecular dynamics."""

import re

from ingest.confined.programs.spec import FormatSpec

_CONTENT = re.compile(rb"(?i)siesta v|WELCOME TO SIESTA|Siesta Version")
_DYNAMICS = re.compile(
    rb"(?im)Begin MD step|^ *MD\.TypeOfRun +(Verlet|Nose|ParrinelloRahman|NoseParrinelloRahman|Anneal)"
)

FORMATS = (
    FormatSpec(
        name="siesta/aimd_output",
        title="SIESTA output of molecular dynamics",
        example="siesta.out",
        reads="file",
        names=("*.out", "output"),
        content=_CONTENT,
        told_by="the version of SIESTA and molecular dynamics",
        only_if=lambda _path, head: _DYNAMICS.search(head) is not None,
        also=("siesta/output",),
    ),
    FormatSpec(
        name="siesta/output",
        title="SIESTA output",
        example="siesta.out",
        reads="file",
        names=("*.out", "output"),
        content=_CONTENT,
        told_by="the version of SIESTA",
    ),
)
