"""Trajectory files of the Atomic Simulation Environment (ASE)."""

import re

from ingest.confined.programs.spec import FormatSpec

FORMATS = (
    FormatSpec(
        name="ase/traj",
        title="ASE trajectory",
        example="md.traj with energies and forces",
        reads="file",
        names=("*.traj",),
        content=re.compile(rb"\A- of Ulm"),
        words=(b"- of Ulm",),
        told_by="ASE in its first bytes",
    ),
)
