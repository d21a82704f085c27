"""Amber: QM/MM dynamics of sander, and the semi-empirical program sqm."""

import re

from ingest.confined.programs.spec import FormatSpec, by_stem

FORMATS = (
    FormatSpec(
        name="amber/md",
        title="Amber (sander) molecular dynamics",
        example="run.parm7 with run.nc, run.mdfrc, run.mden and run.mdout in one folder",
        reads="files",
        names=("*.parm7", "*.nc", "*.mdfrc", "*.mden", "*.mdout"),
        find=by_stem("amber/md", (".parm7", ".nc", ".mdfrc", ".mden", ".mdout")),
    ),
    FormatSpec(
        name="sqm/out",
        title="Amber sqm output",
        example="sqm.out",
        reads="file",
        names=("*.out",),
        content=re.compile(rb"AMBER SQM|QMMM: |SQM VERSION"),
        told_by="AMBER SQM",
    ),
)
