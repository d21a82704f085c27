"""OpenMX: molecular dynamics."""

from ingest.confined.programs.spec import FormatSpec, by_stem

FORMATS = (
    FormatSpec(
        name="openmx/md",
        title="OpenMX molecular dynamics",
        example="run.dat and run.md in one folder",
        reads="files",
        names=("*.dat", "*.md"),
        find=by_stem("openmx/md", (".dat", ".md")),
    ),
)
