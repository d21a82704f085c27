"""What dpdata's readers get wrong about legal files, put right: (files, texts, frames as read) → frames."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from frames.frame import SYMBOLS

from ingest.confined.judging import Raw
from ingest.confined.programs.spec import matching_lines


def elements_of_topology(files: list[Path], _texts: list[Path], raws: list[Raw]) -> list[Raw]:
    """Amber: dpdata gives atom types, of which GAFF's 'ca' would be calcium and 'os' osmium."""
    topology = files[0].with_name(files[0].name + ".parm7").read_text()
    block = re.search(r"%FLAG ATOMIC_NUMBER\s*\n%FORMAT[^\n]*\n((?:[^%\n]*\n)+)", topology)
    numbers = [int(word) for word in block[1].split()] if block else []
    # Extra points and virtual sites have number 0 or −1; they are no element and so set the frame aside.
    symbols = [SYMBOLS[number - 1] if 0 < number <= len(SYMBOLS) else f"number {number}" for number in numbers]
    return [replace(raw, symbols=symbols) for raw in raws]


def cell_of_input(files: list[Path], _texts: list[Path], raws: list[Raw]) -> list[Raw]:
    """DFTB+: dpdata calls everything a molecule, also what the input gives a lattice (GenFormat S and F)."""
    lines = iter(files[0].read_text(errors="replace").splitlines())
    for line in lines:
        if line.startswith("Geometry"):
            natoms, kind = next(lines).split()[:2]
            if kind.upper() not in ("S", "F"):
                return raws
            rest = [next(lines) for _ in range(1 + int(natoms) + 4)][-3:]
            cell = np.array([[float(word) for word in row.split()[:3]] for row in rest])
            return [replace(raw, cell=cell) for raw in raws]
    return raws


def volume_without_sign(_files: list[Path], _texts: list[Path], raws: list[Raw]) -> list[Raw]:
    """ABACUS: dpdata multiplies the stress with det(cell), which is negative for left-handed lattice vectors."""
    return [
        replace(raw, virial=-np.asarray(raw.virial))
        if raw.virial is not None and raw.cell is not None and np.linalg.det(raw.cell) < 0
        else raw
        for raw in raws
    ]


def steps_of_relaxation(files: list[Path], texts: list[Path], raws: list[Raw]) -> list[Raw]:
    """ABACUS: dpdata leaves steps that did not converge out of a relaxation, and does not say so."""
    logs = [path for path in texts if path.name.startswith("running_")]
    count = sum(1 for path in logs for _ in matching_lines(path, rb"convergence has (not|NOT) been achieved"))
    if count:
        warnings.warn(f"{count} of {count + len(raws)} steps are unconverged and left out", UserWarning, stacklevel=2)
    return volume_without_sign(files, texts, raws)


def forces_of_the_inverted(files: list[Path], _texts: list[Path], raws: list[Raw]) -> list[Raw]:
    """ABACUS single points: dpdata inverts a left-handed cell and the positions, and not the forces."""
    lines = iter((files[0] / _structure(files[0])).read_text(errors="replace").splitlines())
    for line in lines:
        if line.split("#")[0].strip() == "LATTICE_VECTORS":
            rows = (words for each in lines if (words := each.split("#")[0].split()))
            cell = np.array([[float(word) for word in next(rows)[:3]] for _ in range(3)])
            if np.linalg.det(cell) < 0:
                return [replace(raw, forces=None if raw.forces is None else -np.asarray(raw.forces)) for raw in raws]
    return raws


def _structure(folder: Path) -> str:
    match = re.search(r"(?m)^\s*stru_file\s+(\S+)", (folder / "INPUT").read_text(errors="replace"))
    return match[1] if match else "STRU"
