"""n2p2: input.data, in bohr and Hartree."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import row
from outputs.units import BOHR, HARTREE


def structure(frame: Frame) -> str:
    text = "begin\ncomment generated\n"
    if frame.cell is not None:
        text += "".join(f"lattice {row(vector / BOHR, '18.10f')}\n" for vector in frame.cell)
    for symbol, place, force in zip(frame.symbols, frame.coords / BOHR, frame.forces * (BOHR / HARTREE), strict=True):
        text += f"atom {row(place, '18.10f')} {symbol:2s} 0.0 0.0 {row(force, '18.10f')}\n"
    return f"{text}energy {frame.energy / HARTREE:18.10f}\ncharge 0.0\nend\n"


def write(folder: Path, frames: Sequence[Frame]) -> None:
    (folder / "input.data").write_text("".join(map(structure, frames)))


GENERATORS = (Generator("n2p2", write, virial=False, energy=2e-9, length=3e-11, force=3e-9),)
