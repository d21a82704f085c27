"""PWmat: MOVEMENT of molecular dynamics."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import fractional, row


def step(number: int, frame: Frame, iterations: int = 14) -> str:
    assert frame.cell is not None
    assert frame.virial is not None
    text = f"{frame.natoms:5d} atoms,Iteration (fs) = {number:19.10E}, Etot,Ep,Ek (eV) = {frame.energy + 0.5:21.12E}"
    text += f"{frame.energy:21.12E}{0.5:19.10E}, SCF = {iterations:5d}\n Lattice vector (Angstrom)\n"
    for vector, stress in zip(frame.cell, frame.virial, strict=True):
        text += f"  {row(vector, '18.10E')}     stress (eV): {row(stress, '16.9E')}\n"
    text += " Position (normalized), move_x, move_y, move_z\n"
    for element, place in zip(frame.numbers, fractional(frame), strict=True):
        text += f"{element:4d}    {row(place, '19.14f')}     1  1  1\n"
    text += " Force (-force, eV/Angstrom)\n"
    for element, force in zip(frame.numbers, frame.forces, strict=True):
        text += f"{element:4d}    {row(-force, '19.14f')}\n"
    return f"{text} -------------------------------------------------\n"


def write(folder: Path, frames: Sequence[Frame]) -> None:
    (folder / "MOVEMENT").write_text("".join(step(number, frame) for number, frame in enumerate(frames)))


GENERATORS = (
    Generator("pwmat/movement", write, energy=1e-8, length=1e-8, force=1e-12, virial_ev=1e-8, theory={"code": "PWmat"}),
)
