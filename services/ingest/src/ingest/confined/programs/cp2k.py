"""CP2K, read by the plugin cp2kdata (dpdata's own reader refuses CP2K 2023 and later)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ingest.confined.programs.spec import (
    HARTREE_EV,
    Calculation,
    FormatSpec,
    Refusal,
    Signs,
    Theory,
    Tree,
    code,
    energy_ev,
    first,
    head,
    listed,
    named,
    said,
    start_of,
)

_CONTENT = re.compile(rb"CP2K\| |\*\* +PROGRAM STARTED AT")
_NO_LOG = ("*.xyz", "*.ener", "*.inp", "*.restart*", "*.wfn*", "*.cell", "*.stress")
_SIGNS = Signs(
    finished=rb"PROGRAM ENDED",
    unconverged=rb"SCF run NOT converged",
    forces=rb"ATOMIC FORCES|Atomic forces",
    remedy="Set &FORCE_EVAL / &PRINT / &FORCES ON.",
)


# Forces of dynamics are in a file of their own.
_SIGNS_OF_MD = replace(_SIGNS, forces=rb"")


def log(folder: Path) -> list[Path]:
    """The CP2K output of a molecular dynamics run in this folder; the largest of several."""
    logs = [
        path
        for path in sorted(folder.iterdir())
        if not named(path.name, _NO_LOG) and path.is_file() and _CONTENT.search(head(path))
    ]
    return [max(logs, key=lambda path: path.stat().st_size)] if logs else []


def _md_folders(tree: Tree) -> Iterator[Calculation]:
    for folder, names in tree.folders.items():
        if any(named(name, ("*-pos-*.xyz",)) for name in names) and (logs := log(tree.root / folder)):
            options = {"cp2k_output_name": logs[0].name}
            yield Calculation(tree.shown(folder), "cp2kdata/md", (folder or ".",), options)


def _refuses(texts: Sequence[Path]) -> Refusal | None:
    kind = first(r"GLOBAL\| Run type\s+(\S+)", start_of(texts))
    if kind in (None, "ENERGY_FORCE", "ENERGY"):
        return None
    reason = f"it is the output of a {kind} run, not of a single point"
    remedy = "For molecular dynamics choose cp2kdata/md and add *-pos-1.xyz and *-frc-1.xyz; else export extxyz."
    return "unsupported", reason, remedy


def _theory(text: str) -> Theory:
    functional = first(r"FUNCTIONAL\|\s*([A-Z0-9_+-]+):", text) or first(r"&XC_FUNCTIONAL\s+(\S+)", text)
    dispersion = first(r"vdW POTENTIAL\|\s+DFT-(D\d(?:\(BJ\))?)", text)
    bases = re.findall(r"Orbital Basis Set\s+(\S+)", text)
    potentials = re.findall(r"(?:GTH Potential information for|Potential information for)\s+(\S+)", text)
    return said(
        code=code("CP2K", first(r"CP2K\| version string:\s+CP2K version (\S+)", text)),
        functional=f"{functional}-{dispersion}" if functional and dispersion else functional,
        # Hartree, as CP2K prints the density cutoff.
        cutoff_ev=energy_ev(first(r"QS\|\s+Density cutoff \[a\.u\.\]:\s+([\d.]+)", text), HARTREE_EV),
        k_points=first(r"BRILLOUIN\| +K-Point grid\s+(\d+ +\d+ +\d+)", text),
        basis=listed(bases + potentials),
    )


FORMATS = (
    FormatSpec(
        name="cp2kdata/md",
        title="CP2K molecular dynamics",
        example="a folder with x-pos-1.xyz, x-frc-1.xyz, x-1.ener and the output",
        reads="folder",
        names=("*-pos-*.xyz", "*.ener", "*.log"),
        told_by="an output that names CP2K next to its trajectory",
        find=_md_folders,
        texts=log,
        theory=_theory,
        signs=_SIGNS_OF_MD,
    ),
    FormatSpec(
        name="cp2kdata/e_f",
        title="CP2K output of a single point",
        example="output.log of an ENERGY_FORCE run",
        reads="file",
        names=("*.out", "*.log"),
        content=_CONTENT,
        words=(b"CP2K| ", b"PROGRAM STARTED AT"),
        told_by="CP2K",
        theory=_theory,
        refuses=_refuses,
        signs=_SIGNS,
    ),
)
