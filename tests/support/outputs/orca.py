"""ORCA 5: a job with EnGrad, and one with several geometries."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.units import BOHR, HARTREE

THEORY: dict[str, str | float] = {"code": "ORCA 5.0.4", "functional": "PBE", "basis": "def2-TZVP"}

HEADER = f"""
                                 *****************
                                 * O   R   C   A *
                                 *****************

                         Program Version 5.0.4 -  RELEASE  -

{"=" * 80}
                                       INPUT FILE
{"=" * 80}
NAME = molecule.inp
|  1> ! PBE def2-TZVP TightSCF EnGrad
|  2> * xyz 0 1
|  3>                          ****END OF INPUT****
{"=" * 80}

Your calculation utilizes the basis: def2-TZVP

"""
FOOTER = "\n                             ****ORCA TERMINATED NORMALLY****\nTOTAL RUN TIME: 0 days 0 hours 5 seconds\n"


def positions(frame: Frame) -> str:
    text = "---------------------------------\nCARTESIAN COORDINATES (ANGSTROEM)\n---------------------------------\n"
    for symbol, place in zip(frame.symbols, frame.coords, strict=True):
        text += f"  {symbol:4s}{place[0]:12.6f}{place[1]:13.6f}{place[2]:13.6f}\n"
    return text + "\n"


def scf(frame: Frame, converged: bool = True) -> str:
    words = "SCF CONVERGED AFTER  12 CYCLES" if converged else "SCF NOT CONVERGED AFTER 125 CYCLES"
    text = f"\n               {'*' * 53}\n               *           {words}\n\n"
    text += " Exchange Functional    Exchange        .... PBE\n Correlation Functional Correlation     .... PBE\n\n"
    if not converged:
        return text
    text += "-------------------------   --------------------\n"
    return f"{text}FINAL SINGLE POINT ENERGY  {frame.energy / HARTREE:20.12f}\n\n"


def gradient(frame: Frame) -> str:
    text = "------------------\nCARTESIAN GRADIENT\n------------------\n\n"
    for number, (symbol, force) in enumerate(zip(frame.symbols, frame.forces, strict=True), 1):
        numbers = "".join(f"{x * -BOHR / HARTREE:15.9f}" for x in force)
        text += f"{number:4d}   {symbol:3s} :{numbers}\n"
    return text + "\nDifference to translation invariance:\n"


def write(folder: Path, frames: Sequence[Frame]) -> None:
    steps = [positions(frame) + scf(frame) + gradient(frame) for frame in frames]
    (folder / "molecule.out").write_text(HEADER + "".join(steps) + FOOTER)


GENERATORS = (
    Generator(
        "orca/spout", write, cell="none", virial=False, energy=1e-9, length=5.1e-7, force=3e-8, theory=THEORY,
        converged=True,
    ),
)  # fmt: skip
