"""Amber: dynamics of sander and pmemd, and the semi-empirical program sqm."""

import re
from collections.abc import Sequence
from pathlib import Path

from ingest.confined.programs.spec import FormatSpec, Refusal, Signs, Theory, by_stem, code, first, said


def _texts(stem: Path) -> list[Path]:
    return [path for end in (".parm7", ".mdout") if (path := stem.with_name(stem.name + end)).is_file()]


def _theory(text: str) -> Theory:
    return said(
        code=first(r"^\s*(Amber \S+ (?:SANDER|PMEMD))", text), functional=first(r"qm_theory\s*=\s*'?(\w+)", text)
    )


def _refuses(texts: Sequence[Path]) -> Refusal | None:
    """Without it, elements would be guessed from atom types: 'ca' is an aromatic carbon, 'os' an ether's oxygen."""
    topology = [path for path in texts if path.suffix == ".parm7"]
    if topology and b"%FLAG ATOMIC_NUMBER" not in topology[0].read_bytes():
        reason = "the topology has no ATOMIC_NUMBER, and atom types do not tell the elements"
        return "unknown-element", reason, "Write the topology again with AmberTools 12 or later."
    return None


def _sqm_theory(text: str) -> Theory:
    return said(
        code=code("AmberTools sqm", first(r"AMBER SQM VERSION\s+(\S+)", text)),
        functional=first(r"Selected Hamiltonian \*+\s*\n\s*\|?\s*QMMM:\s*(\S+)", text),
    )


FORMATS = (
    FormatSpec(
        name="amber/md",
        title="Amber molecular dynamics",
        example="run.parm7 with run.nc, run.mdfrc and run.mden (or run.mdout) in one folder",
        reads="files",
        names=("*.parm7", "*.nc", "*.mdfrc", "*.mden", "*.mdout"),
        told_by="a topology .parm7 next to its trajectory",
        find=by_stem("amber/md", (".parm7", ".nc", ".mdfrc", ".mden", ".mdout")),
        texts=_texts,
        theory=_theory,
        refuses=_refuses,
    ),
    FormatSpec(
        name="sqm/out",
        title="Amber sqm output",
        example="sqm.out",
        reads="file",
        names=("*.out",),
        content=re.compile(rb"AMBER SQM|QMMM: |SQM VERSION"),
        words=(b"AMBER SQM", b"QMMM: ", b"SQM VERSION"),
        told_by="AMBER SQM",
        theory=_sqm_theory,
        signs=Signs(
            finished=rb"Calculation Completed",
            unconverged=rb"Unable to achieve self consistency",
            forces=rb"QMMM: Forces on QM atoms",
            remedy="Set verbosity = 4 in &qmmm, which prints the forces.",
        ),
    ),
)
