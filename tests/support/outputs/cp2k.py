"""CP2K 2023.1: outputs of single points, and folders of molecular dynamics with positions and forces."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import groups, pressure_like
from outputs.units import BOHR, GPA, HARTREE

THEORY: dict[str, str | float] = {
    "code": "CP2K 2023.1",
    "functional": "PBE-D3",
    "cutoff_ev": 4081.708,
    "k_points": "2 2 2",
    "basis": "DZVP-MOLOPT-SR-GTH, GTH-PBE",
}


def head(frame: Frame, run: str, periodic: str = "XYZ") -> str:
    assert frame.cell is not None
    text = (
        "\n  **** **** ******  **  PROGRAM STARTED AT               2026-11-25 12:00:00.000\n"
        f" CP2K| version string:{'CP2K version 2023.1':>58}\n\n GLOBAL| Run type{run:>63}\n"
        f" GLOBAL| Global print level{'MEDIUM':>53}\n\n"
    )
    for name, vector in zip("abc", frame.cell, strict=True):
        numbers = "".join(f"{value:14.9f}" for value in vector)
        text += f" CELL| Vector {name} [angstrom]:{numbers}   |{name}| = {np.linalg.norm(vector):12.6f}\n"
    text += f" CELL| Periodicity{periodic:>62}\n\n DFT| Spin restricted Kohn-Sham (RKS) calculation{'RKS':>32}\n"
    text += f" DFT| Multiplicity{1:>62}\n FUNCTIONAL| PBE:\n vdW POTENTIAL|{'DFT-D3 (Version 3.1)':>66}\n"
    text += f" BRILLOUIN|  K-Point grid{'2    2    2':>55}\n QS| Density cutoff [a.u.]:{150.0:>54.1f}\n\n"
    if run == "MD":
        text += f" MD_PAR| Ensemble type{'NVT':>58}\n"
    kinds = list(dict.fromkeys(kind for kind, _ in groups(frame)))
    text += " ATOMIC KIND INFORMATION\n\n"
    for number, kind in enumerate(kinds, 1):
        text += f"  {number}. Atomic kind: {kind:<10} Number of atoms: {frame.symbols.count(kind):8d}\n\n"
        text += (
            f"     Orbital Basis Set {'DZVP-MOLOPT-SR-GTH':>56}\n     GTH Potential information for {'GTH-PBE':>44}\n"
        )
    text += (
        f" TOTAL NUMBERS AND MAXIMUM NUMBERS\n\n  Total number of\n             - Atomic kinds: {len(kinds):>51}\n\n"
    )
    text += " MODULE QUICKSTEP: ATOMIC COORDINATES IN ANGSTROM\n\n"
    text += "   Atom Kind Element         X             Y             Z       Z(eff)     Mass\n\n"
    atoms = zip(frame.symbols, frame.numbers, frame.coords, strict=True)
    for index, (symbol, number, (x, y, z)) in enumerate(atoms, 1):
        text += f"{index:7d}{kinds.index(symbol) + 1:5d} {symbol:>2}{number:5d}"
        text += f"{x:14.9f}{y:14.9f}{z:14.9f}{4.0:11.4f}{1.0:12.4f}\n"
    return text + "\n"


def step(frame: Frame, forces: bool, converged: bool = True) -> str:
    """What follows from one self-consistency."""
    text = "  *** SCF run converged in     9 steps ***\n\n"
    if not converged:
        text = " *** WARNING in qs_scf.F:601 :: SCF run NOT converged ***\n\n"
    text += f" ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:{frame.energy / HARTREE:34.15f}\n\n"
    if forces:
        text += " ATOMIC FORCES in [a.u.]\n\n # Atom   Kind   Element          X              Y              Z\n"
        kinds = list(dict.fromkeys(frame.symbols))
        atoms = zip(frame.symbols, frame.forces * BOHR / HARTREE, strict=True)
        for index, (symbol, (x, y, z)) in enumerate(atoms, 1):
            text += f"{index:7d}{kinds.index(symbol) + 1:7d}      {symbol:<2}     {x:15.8f}{y:15.8f}{z:15.8f}\n"
        text += f" SUM OF ATOMIC FORCES {0.0:15.8f}{0.0:15.8f}{0.0:15.8f}\n\n"
    text += f" STRESS| Analytical stress tensor [GPa]\n STRESS|{'x':>25}{'y':>20}{'z':>20}\n"
    for name, values in zip("xyz", pressure_like(frame) / GPA, strict=True):
        text += f" STRESS|      {name}  " + "".join(f"{value:20.11E}" for value in values) + "\n"
    return text + "\n"


def numbered(number: int) -> str:
    """The initial step has no number."""
    return f" MD| Step number{number:>64}\n MD| Time [fs]{0.5 * number:>66.6f}\n\n"


_END = "  **** **** ******  **  PROGRAM ENDED AT                 2026-11-25 12:00:09.000\n"


def write_single_point(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    (folder / "output.log").write_text(head(frame, "ENERGY_FORCE") + step(frame, forces=True) + _END)


def write_md(folder: Path, frames: Sequence[Frame]) -> None:
    steps = [step(frame, forces=False) + (numbered(number) if number else "") for number, frame in enumerate(frames)]
    (folder / "run.log").write_text(head(frames[0], "MD") + "".join(steps) + _END)
    titles = ("Step Nr.", "Time[fs]", "Kin.[a.u.]", "Temp[K]", "Pot.[a.u.]", "Cons Qty[a.u.]", "UsedTime[s]")
    energies = "# " + "    ".join(titles) + "\n"
    positions = forces = ""
    for number, frame in enumerate(frames):
        energy = frame.energy / HARTREE
        energies += (
            f"{number:10d} {0.5 * number:19.6f} {0.01:19.9f} {300.0:19.9f} {energy:19.12f} {energy:19.12f} 1.0\n"
        )
        title = f"{frame.natoms:8d}\n i = {number:8d}, time = {0.5 * number:12.3f}, E = {energy:20.10f}\n"
        positions += title + _atoms(frame, frame.coords)
        forces += title + _atoms(frame, frame.forces * BOHR / HARTREE)
    (folder / "run-1.ener").write_text(energies)
    (folder / "run-pos-1.xyz").write_text(positions)
    (folder / "run-frc-1.xyz").write_text(forces)


def _atoms(frame: Frame, values: object) -> str:
    rows = zip(frame.symbols, np.asarray(values, dtype=float), strict=True)
    return "".join(f"{symbol:>3} {x:20.10f} {y:20.10f} {z:20.10f}\n" for symbol, (x, y, z) in rows)


GENERATORS = (
    Generator(
        "cp2kdata/e_f", write_single_point, many=False, energy=1e-6, length=1e-8, force=5e-7, virial_ev=1e-5,
        theory=THEORY, converged=True,
    ),
    Generator(
        "cp2kdata/md", write_md, fixed_cell=True, energy=1e-6, length=1e-8, force=1e-7, virial_ev=1e-5, theory=THEORY,
        converged=True,
    ),
)  # fmt: skip
