"""Extended XYZ as ASE writes it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from frames.frame import Frame

from outputs.generator import Generator


def write(folder: Path, frames: Sequence[Frame]) -> None:
    text = ""
    for frame in frames:
        comment = "Properties=species:S:1:pos:R:3:forces:R:3"
        if frame.cell is not None:
            comment += f' Lattice="{_numbers(frame.cell)}" pbc="T T T"'
        if frame.virial is not None:
            comment += f' virial="{_numbers(frame.virial)}"'
        text += f"{frame.natoms}\n{comment} energy={frame.energy:.10f}\n"
        for symbol, place, force in zip(frame.symbols, frame.coords, frame.forces, strict=True):
            text += f"{symbol:3s} {_numbers(place)} {_numbers(force)}\n"
    (folder / "frames.xyz").write_text(text)


def _numbers(values: object) -> str:
    return " ".join(f"{value:.10f}" for value in np.ravel(np.asarray(values, dtype=float)))


GENERATORS = (Generator("extxyz", write),)
