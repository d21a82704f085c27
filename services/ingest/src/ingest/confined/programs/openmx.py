"""OpenMX: molecular dynamics."""

import re
from pathlib import Path

from ingest.confined.programs.spec import RYDBERG_EV, FormatSpec, Theory, by_stem, energy_ev, first, listed, said


def _texts(stem: Path) -> list[Path]:
    return [path for path in (stem.with_name(f"{stem.name}.dat"),) if path.is_file()]


def _theory(text: str) -> Theory:
    species = re.search(r"(?is)<Definition\.of\.Atomic\.Species\s*\n(.*?)Definition\.of\.Atomic\.Species>", text)
    rows = [line.split()[1:3] for line in species[1].splitlines()] if species else []
    return said(
        code="OpenMX",
        functional=first(r"^\s*scf\.XcType\s+(\S+)", text),
        cutoff_ev=energy_ev(first(r"^\s*scf\.energycutoff\s+([\d.]+)", text), RYDBERG_EV),
        k_points=first(r"^\s*scf\.Kgrid\s+(\d+\s+\d+\s+\d+)", text),
        basis=listed([" ".join(row) for row in rows if row]),
    )


FORMATS = (
    FormatSpec(
        name="openmx/md",
        title="OpenMX molecular dynamics",
        example="run.dat and run.md in one folder",
        reads="files",
        names=("*.dat", "*.md"),
        told_by="an input .dat next to its .md",
        find=by_stem("openmx/md", (".dat", ".md")),
        texts=_texts,
        theory=_theory,
    ),
)
