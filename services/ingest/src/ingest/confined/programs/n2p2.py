"""n2p2's data files."""

import re

from ingest.confined.programs.spec import FormatSpec

FORMATS = (
    FormatSpec(
        name="n2p2",
        title="n2p2 data",
        example="input.data",
        reads="file",
        names=("input.data", "*.data"),
        content=re.compile(rb"\Abegin\r?\n(comment|lattice|atom)"),
        words=(b"begin",),
        told_by="begin at its head",
    ),
)
