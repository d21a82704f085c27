"""PWmat: MOVEMENT."""

import re

from ingest.confined.programs.spec import FormatSpec

FORMATS = (
    FormatSpec(
        name="pwmat/movement",
        title="PWmat MOVEMENT",
        example="MOVEMENT",
        reads="file",
        names=("MOVEMENT*", "*.MOVEMENT"),
        content=re.compile(rb"atoms, *Iteration|Iteration *= *"),
        words=(b"Iteration",),
        told_by="Iteration",
        theory=lambda _text: {"code": "PWmat"},
    ),
)
