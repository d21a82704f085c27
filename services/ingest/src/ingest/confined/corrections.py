"""What dpdata's readers get wrong about legal files, put right: (files, texts, frames as read) → frames."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from frames.frame import SYMBOLS

from ingest.confined.judging import Raw
from ingest.confined.periodicity import settled


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


def cp2k_periodicity(_files: list[Path], texts: list[Path], raws: list[Raw]) -> list[Raw]:
    """CP2K: the plugin takes the cell as periodic whatever PERIODIC says."""
    for text in texts:
        with text.open("rb") as file:
            for line in file:
                if match := re.match(rb" CELL\| Periodicity\s+(\w+)", line):
                    axes = match[1].decode().upper()
                    flags = [axis in axes and axes != "NONE" for axis in "XYZ"]
                    return [replace(raw, cell=settled(raw.cell, flags, raw.coords)) for raw in raws]
    return raws
