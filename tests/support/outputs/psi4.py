"""Psi4 1.7: gradients of a self-consistent field, one geometry after another."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import masses
from outputs.units import BOHR, HARTREE

THEORY: dict[str, str | float] = {"code": "Psi4 1.7", "functional": "PBE", "basis": "DEF2-TZVP"}
HEADER = """
    -----------------------------------------------------------------------
          Psi4: An Open-Source Ab Initio Electronic Structure Package
                               Psi4 1.7 release

                         Git: Rev {HEAD} 6ce35a5

    Psi4 started on: Thursday, 01 January 2026 10:00AM
"""
FOOTER = "\n    Psi4 stopped on: Thursday, 01 January 2026 10:01AM\n\n*** Psi4 exiting successfully.\n"


def geometry(frame: Frame) -> str:
    text = (
        "  ==> Geometry <==\n\n    Molecular point group: c1\n    Full point group: C1\n\n"
        "    Geometry (in Angstrom), charge = 0, multiplicity = 1:\n\n"
        "       Center              X                  Y                   Z               Mass       \n"
        "    ------------   -----------------  -----------------  -----------------  -----------------\n"
    )
    for symbol, place, mass in zip(frame.symbols, frame.coords, masses(frame.symbols), strict=True):
        text += f"  {symbol.upper():>11s}     {''.join(f'{x:19.12f}' for x in place)}{mass:19.12f}\n"
    return text + "\n"


def scf(frame: Frame, converged: bool = True) -> str:
    text = "  ==> Algorithm <==\n\n   => Loading Basis Set <=\n\n    Name: DEF2-TZVP\n    Role: ORBITAL\n\n"
    text += "   => PBE Composite Functional <= \n\n"
    if not converged:
        return f"{text}PsiException: Could not converge SCF iterations in 100 iterations.\n"
    text += "  Energy and wave function converged.\n\n   => Energetics <=\n\n"
    return f"{text}    Total Energy =                  {frame.energy / HARTREE:24.16f}\n\n"


def gradient(frame: Frame) -> str:
    """The geometry comes again with the gradient."""
    rows = "".join(
        f"   {number:2d}    {''.join(f'{x * -BOHR / HARTREE:20.14f}' for x in force)}\n"
        for number, force in enumerate(frame.forces, 1)
    )
    title = f"  ## Total Gradient (Symmetry 0) ##\n  Irrep: 1 Size: {frame.natoms} x 3\n\n"
    return f"{geometry(frame)}{title}                 1                   2                   3\n\n{rows}\n\n"


def write(folder: Path, frames: Sequence[Frame]) -> None:
    steps = [geometry(frame) + scf(frame) + gradient(frame) for frame in frames]
    (folder / "output.dat").write_text(HEADER + "".join(steps) + FOOTER)


GENERATORS = (
    Generator(
        "psi4/out", write, cell="none", virial=False, energy=1e-9, length=1e-11, force=1e-11, theory=THEORY,
        converged=True,
    ),
)  # fmt: skip
