"""ORCA: outputs of single points with a gradient."""

import re

from ingest.confined.programs.spec import FormatSpec, Signs

FORMATS = (
    FormatSpec(
        name="orca/spout",
        title="ORCA output",
        example="molecule.out of a job with EnGrad",
        reads="file",
        names=("*.out", "*.spout"),
        content=re.compile(rb"\* *O *R *C *A *\*"),
        told_by="O R C A",
        signs=Signs(
            finished=rb"ORCA TERMINATED NORMALLY", unconverged=rb"SCF NOT CONVERGED", forces=rb"CARTESIAN GRADIENT"
        ),
    ),
)
