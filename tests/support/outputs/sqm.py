"""AmberTools' sqm: energy in kcal/mol and eV, gradients in kcal/mol/Å."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import row
from outputs.units import KCAL_PER_MOL

THEORY: dict[str, str | float] = {"code": "AmberTools sqm 19", "functional": "DFTB3"}


def output(frame: Frame, forces: bool = True) -> str:
    charges = "".join(
        f"   {number:4d}       {symbol:2s}         {0.123:8.3f}\n" for number, symbol in enumerate(frame.symbols, 1)
    )
    final = "".join(
        f"     QMMM: {number:6d} {number:6d}      {symbol:2s} {row(place, '11.4f')}\n"
        for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords, strict=True), 1)
    )
    kcal = frame.energy / KCAL_PER_MOL
    text = (
        "            --------------------------------------------------------\n"
        "                             AMBER SQM VERSION 19\n\n"
        f"  QM CALCULATION INFO\n{'-' * 80}\n\n| QMMM: *** Selected Hamiltonian *** \n| QMMM: DFTB3\n\n"
        f" Total SCF energy    =    {kcal:18.8f} kcal/mol  ({frame.energy:18.8f} eV)\n"
    )
    if forces:
        text += " QMMM:\nQMMM: Forces on QM atoms from SCF calculation\n"
        for number, force in enumerate(frame.forces, 1):
            text += f"QMMM: Atm {number:6d}: {''.join(f'{-x / KCAL_PER_MOL:20.14f}' for x in force)}\n"
    return (
        f"{text}\n  Atom    Element       Mulliken Charge\n{charges} Total Mulliken Charge =       0.000\n\n"
        f" Final Structure\n\n  QMMM: QM Region Cartesian Coordinates (*=link atom)\n"
        f"  QMMM: QM_NO.   MM_NO.  ATOM         X         Y         Z\n{final}\n"
        f"           --------- Calculation Completed ----------\n"
    )


def write(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    (folder / "sqm.out").write_text(output(frame))


GENERATORS = (
    Generator(
        "sqm/out", write, many=False, cell="none", virial=False, energy=1e-8, length=5.1e-5, force=1e-9, theory=THEORY
    ),
)  # fmt: skip
