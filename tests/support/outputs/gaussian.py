"""Gaussian 16: logs (single point, relaxation, dynamics) and formatted checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import row
from outputs.units import BOHR, HARTREE

THEORY: dict[str, str | float] = {"code": "Gaussian 16 C.01", "functional": "B3LYP", "basis": "6-31G(d,p)"}
_LINE = " " + "-" * 69 + "\n"


def _head(route: str) -> str:
    return (
        " Entering Gaussian System, Link 0=g16\n Copyright (c) 1988-2019, Gaussian, Inc.  All Rights Reserved.\n"
        " ******************************************\n Gaussian 16:  ES64L-G16RevC.01  3-Jul-2019\n"
        "                25-Nov-2026 \n ******************************************\n"
        f" {'-' * len(route)}\n {route}\n {'-' * len(route)}\n"
    )


def step(frame: Frame, after: str = "after    9 cycles") -> str:
    """One geometry with its energy and forces; a periodic one with its translation vectors."""
    text = "                          Input orientation:                          \n" + _LINE
    text += " Center     Atomic      Atomic             Coordinates (Angstroms)\n"
    text += " Number     Number       Type             X           Y           Z\n" + _LINE
    places = list(zip(frame.numbers.tolist(), frame.coords, strict=True))
    places += [(-2, vector) for vector in frame.cell] if frame.cell is not None else []
    for number, (element, place) in enumerate(places, 1):
        text += f"{number:7d}{element:11d}           0    {row(place, '12.6f')}\n"
    text += _LINE + f" SCF Done:  E(RB3LYP) =  {frame.energy / HARTREE:.9f}     A.U. {after}\n" + _LINE
    text += " Center     Atomic                   Forces (Hartrees/Bohr)\n"
    text += " Number     Number              X              Y              Z\n" + _LINE
    forces = list(zip(frame.numbers.tolist(), frame.forces * BOHR / HARTREE, strict=True))
    forces += [(-2, np.zeros(3)) for _ in range(3)] if frame.cell is not None else []
    for number, (element, force) in enumerate(forces, 1):
        # An atomic number of -2 stands where dpdata looks for it: columns 15 and 16.
        text += f"{number:7d}{element:9d}       " + "".join(f"{value:15.9f}" for value in force) + "\n"
    return text + _LINE


_END = " Normal termination of Gaussian 16 at Wed Nov 25 12:00:00 2026.\n"


def write_log(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    (folder / "molecule.log").write_text(_head("#p B3LYP/6-31G(d,p) force") + step(frame) + _END)


def write_md(folder: Path, frames: Sequence[Frame]) -> None:
    text = _head("#p B3LYP/6-31G(d,p) BOMD Geom=PrintInputOrient")
    (folder / "dynamics.log").write_text(text + "".join(step(frame) for frame in frames) + _END)


def write_fchk(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames

    def array(title: str, kind: str, values: Sequence[float]) -> str:
        width = 6 if kind == "I" else 5
        form = "12d" if kind == "I" else "16.8E"
        lines = [values[start : start + width] for start in range(0, len(values), width)]
        body = "".join("".join(f"{value:{form}}" for value in line) + "\n" for line in lines)
        return f"{title:<40}   {kind}   N={len(values):12d}\n{body}"

    text = f"water\nForce     RB3LYP      {'6-31G(d,p)':>60}\n{'Number of atoms':<40}   I {frame.natoms:15d}\n"
    text += array("Atomic numbers", "I", frame.numbers.tolist())
    text += array("Current cartesian coordinates", "R", (frame.coords / BOHR).ravel().tolist())
    text += f"{'Total Energy':<40}   R {frame.energy / HARTREE:26.15E}\n"
    gradient = -frame.forces * BOHR / HARTREE
    (folder / "molecule.fchk").write_text(text + array("Cartesian Gradient", "R", gradient.ravel().tolist()))


GENERATORS = (
    Generator(
        "gaussian/log", write_log, many=False, virial=False, energy=2e-8, length=6e-7, force=4e-8, theory=THEORY,
        converged=True,
    ),
    Generator(
        "gaussian/md", write_md, virial=False, energy=2e-8, length=6e-7, force=4e-8, theory=THEORY, converged=True
    ),
    Generator(
        "gaussian/fchk", write_fchk, many=False, cell="none", virial=False, energy=1e-9, length=6e-8, force=6e-7,
        theory={"functional": "B3LYP", "basis": "6-31G(d,p)", "code": "Gaussian"},
    ),
)  # fmt: skip
