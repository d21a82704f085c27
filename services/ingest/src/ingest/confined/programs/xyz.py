"""Extended XYZ, the format that many programs and packages share."""

import re

from ingest.confined.programs.spec import FormatSpec

FORMATS = (
    FormatSpec(
        name="extxyz",
        title="Extended XYZ",
        example="frames.extxyz with energy and forces in each frame (ASE, QUIP, MACE, NequIP, GPUMD)",
        reads="file",
        names=("*.extxyz", "*.xyz"),
        content=re.compile(rb"\A\s*\d+[ \t]*\r?\n[^\n]*(Properties=|Lattice=)"),
        words=(b"Properties=", b"Lattice="),
        told_by="Properties= or Lattice= in its second line",
    ),
)
