"""OpenMX: System.Name.dat and System.Name.md."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import row
from outputs.units import BOHR, HARTREE, RYDBERG

THEORY: dict[str, str | float] = {
    "code": "OpenMX",
    "functional": "GGA-PBE",
    "cutoff_ev": round(220 * RYDBERG, 3),
    "k_points": "2 2 2",
    "basis": "O6.0-s2p2d1 O_PBE19, H6.0-s2p1 H_PBE19, Si7.0-s2p2d1 Si_PBE19, C6.0-s2p2d1 C_PBE19",
}
_BASIS = {"O": "O6.0-s2p2d1", "H": "H6.0-s2p1", "Si": "Si7.0-s2p2d1", "C": "C6.0-s2p2d1"}


def dat(frame: Frame) -> str:
    kinds = dict.fromkeys(frame.symbols)
    species = "".join(f" {kind:2s}  {_BASIS[kind]}  {kind}_PBE19\n" for kind in kinds)
    atoms = "".join(
        f" {number:3d} {symbol:2s} {row(place, '14.8f')} 3.0 3.0\n"
        for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords, strict=True), 1)
    )
    return (
        f"System.Name  run\n<Definition.of.Atomic.Species\n{species}Definition.of.Atomic.Species>\n"
        f"Atoms.Number {frame.natoms}\n<Atoms.SpeciesAndCoordinates\n{atoms}Atoms.SpeciesAndCoordinates>\n"
        "scf.XcType  GGA-PBE\nscf.energycutoff  220.0   # Ry\nscf.Kgrid  2 2 2\nMD.Type  NVT_NH\n"
    )


def step(number: int, frame: Frame, converged: bool = True) -> str:
    assert frame.cell is not None
    text = f"{frame.natoms}\n   time= {number * 0.5:8.3f} (fs) Energy= {frame.energy / HARTREE:14.8f} (Hartree) "
    text += f"Temperature=  300.000 (Given Temp.=  300.000) Cell_Vectors= {row(frame.cell, '12.8f')}"
    text += f" scf_conv={int(converged)}\n"
    for symbol, place, force in zip(frame.symbols, frame.coords, frame.forces * (BOHR / HARTREE), strict=True):
        text += f"{symbol:>4s} {row(place, '14.8f')} {row(force, '14.8f')} {row([0.0] * 3, '10.5f')} 0.0 0.0\n"
    return text


def write(folder: Path, frames: Sequence[Frame]) -> None:
    (folder / "run.dat").write_text(dat(frames[0]))
    (folder / "run.md").write_text("".join(step(number, frame) for number, frame in enumerate(frames)))


GENERATORS = (
    Generator(
        "openmx/md", write, virial=False, energy=1.5e-7, length=6e-9, force=3e-7, theory=THEORY, converged=True
    ),
)  # fmt: skip
