"""DFTB+: dftb_in.hsd with the geometry, detailed.out with energy and forces."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import row, rows
from outputs.units import BOHR, HARTREE

THEORY: dict[str, str | float] = {"code": "DFTB+", "k_points": "2 2 2", "basis": "mio-1-1"}


def write(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    kinds = list(dict.fromkeys(frame.symbols))
    text = f"Geometry = GenFormat {{\n{frame.natoms} {'S' if frame.cell is not None else 'C'}\n {' '.join(kinds)}\n"
    for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords, strict=True), 1):
        text += f"{number:5d} {kinds.index(symbol) + 1} {row(place, '20.12E')}\n"
    if frame.cell is not None:
        text += f" {row([0, 0, 0])}\n{rows(frame.cell, '20.12E')}"
    text += "}\nDriver = {}\nHamiltonian = DFTB {\n  SCC = Yes\n  SlaterKosterFiles = Type2FileNames {\n"
    text += '    Prefix = "/params/mio-1-1/"\n  }\n  KPointsAndWeights = SupercellFolding {\n'
    text += "    2 0 0\n    0 2 0\n    0 0 2\n    0.5 0.5 0.5\n  }\n}\nAnalysis { CalculateForces = Yes }\n"
    (folder / "dftb_in.hsd").write_text(text)
    (folder / "detailed.out").write_text(detailed(frame))


def detailed(frame: Frame, converged: bool = True) -> str:
    text = f"Total energy:              {frame.energy / HARTREE:20.10f} H {frame.energy:20.4f} eV\n"
    text += "SCC converged\n" if converged else "SCC is NOT converged, maximal SCC iterations exceeded\n"
    text += "Full geometry written in geo_end.{xyz|gen}\n\nTotal Forces\n"
    for number, force in enumerate(frame.forces * BOHR / HARTREE, 1):
        text += f"{number:5d} {row(force, '20.12f')}\n"
    return text + "\n"


GENERATORS = (Generator("dftbplus", write, many=False, virial=False, energy=1e-8, theory=THEORY, converged=True),)
