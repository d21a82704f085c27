"""DFTB+: input and detailed output."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.confined.programs.spec import (
    Calculation,
    FormatSpec,
    Refusal,
    Theory,
    Tree,
    first,
    joined,
    matching_lines,
    named,
    said,
    start_of,
)


def _find(tree: Tree) -> Iterator[Calculation]:
    for folder, names in tree.folders.items():
        inputs = sorted(
            (name for name in names if named(name, ("*.hsd",))), key=lambda name: (name != "dftb_in.hsd", name)
        )
        if inputs and "detailed.out" in names:
            files = tuple(joined(folder, name) for name in (inputs[0], "detailed.out"))
            yield Calculation(tree.shown(files[1]), "dftbplus", files)


def _theory(text: str) -> Theory:
    mesh = re.search(r"(?i)SupercellFolding\s*\{\s*(\d+) 0 0\s+0 (\d+) 0\s+0 0 (\d+)", text)
    method = first(r"^\s*Hamiltonian\s*=\s*(xTB)", text)
    return said(
        code="DFTB+",
        functional=first(r'^\s*Method\s*=\s*"?([\w-]+)', text) if method else None,
        k_points=" ".join(mesh.groups()) if mesh else None,
        basis=first(r'^\s*Prefix\s*=\s*"?[^"\n]*?([^"/\n]+)/?"?\s*$', text),
    )


def _converged(texts: Sequence[Path]) -> bool | None:
    for match in matching_lines(texts[-1], rb"SCC converged|SCC is NOT converged"):
        return match[0] == b"SCC converged"
    return None


def _refuses(texts: Sequence[Path]) -> Refusal | None:
    """The geometry is read from the input: it must be the one that the forces belong to."""
    text = start_of(texts[:1])
    if re.search(r"(?im)^\s*Driver\s*=\s*(?!\{\s*\})(?!\s*none)\w", text):
        reason = "its Driver moves the atoms, while the structure is read from the input: forces of another structure"
        return "unsupported", reason, "Repeat the last step with Driver = {}, or export the steps as extxyz."
    if re.search(r"(?is)Geometry\s*=\s*\w+\s*\{\s*<<<", text):
        reason = "its geometry is in another file (<<<), where dpdata does not look for it"
        return "unsupported", reason, "Write the geometry into the .hsd file itself."
    return None


FORMATS = (
    FormatSpec(
        name="dftbplus",
        title="DFTB+ output",
        example="dftb_in.hsd and detailed.out in one folder",
        reads="files",
        names=("*.hsd", "detailed.out"),
        told_by="an input .hsd next to its detailed.out",
        find=_find,
        theory=_theory,
        converged=_converged,
        refuses=_refuses,
    ),
)
