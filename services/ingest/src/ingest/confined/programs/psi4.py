"""Psi4: outputs with a gradient."""

import re

from ingest.confined.programs.spec import FormatSpec

FORMATS = (
    FormatSpec(
        name="psi4/out",
        title="Psi4 output",
        example="output.dat of a job with gradient",
        reads="file",
        names=("*.out", "*.dat"),
        content=re.compile(rb"Psi4: An Open-Source"),
        told_by="Psi4: An Open-Source",
    ),
)
