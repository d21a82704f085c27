"""SIESTA 4.1: a single point, and molecular dynamics with a moving cell."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import ATOMIC_NUMBERS, Frame

from outputs.generator import Generator
from outputs.layout import pressure_like, row, rows
from outputs.units import RYDBERG

THEORY: dict[str, str | float] = {
    "code": "SIESTA 4.1.5",
    "functional": "GGA PBE",
    "cutoff_ev": round(300 * RYDBERG, 3),
    "k_points": "2 2 2",
    "basis": "DZP",
}


def header(frame: Frame, run: str) -> str:
    kinds = list(dict.fromkeys(frame.symbols))
    named = "".join(
        f"Species number:  {number:3d} Atomic number:  {ATOMIC_NUMBERS[kind]:3d} Label: {kind}\n"
        for number, kind in enumerate(kinds, 1)
    )
    return (
        "Siesta Version  : 4.1.5\nArchitecture    : gfortran\nSERIAL version\n\n* WELCOME TO SIESTA *\n\n"
        f"************************** Dump of input data file ****************************\nMD.TypeOfRun {run}\n"
        "PAO.BasisSize DZP\nXC.functional GGA\nXC.authors PBE\nMeshCutoff 300.0 Ry\n"
        "%block kgrid_Monkhorst_Pack\n 2 0 0 0.0\n 0 2 0 0.0\n 0 0 2 0.0\n%endblock kgrid_Monkhorst_Pack\n"
        "************************** End of input data file *****************************\n"
        f"initatom: Reading input for the pseudopotentials and atomic orbitals\n{named}\n"
        f"redata: Number of Atomic Species                      = {len(kinds):8d}\n"
        "redata: Mesh Cutoff                                  =   300.0000 Ry\n"
        f"initatomlists: Number of atoms, orbitals, and projectors: {frame.natoms:6d}   104   128\n"
    )


def structure(frame: Frame) -> str:
    kinds = list(dict.fromkeys(frame.symbols))
    text = "outcoor: Atomic coordinates (Ang):\n"
    for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords, strict=True), 1):
        text += f"{''.join(f'{x:14.8f}' for x in place)}{kinds.index(symbol) + 1:4d}{number:8d}  {symbol}\n"
    return text + f"\noutcell: Unit cell vectors (Ang):\n{rows(frame.cell, '12.6f', '      ')}\n"


def energy(frame: Frame, converged: bool = True) -> str:
    if not converged:
        return "SCF_NOT_CONV: SCF did not converge  in maximum number of steps.\n"
    return (
        "   scf:    1    -466.494300    -465.900000    -465.900000  0.987654  -4.253862  1.023456\n"
        "SCF cycle converged after 12 iterations\n\n"
        f"siesta: E_KS(eV) = {frame.energy:24.6f}\n\n"
    )


def labels(frame: Frame, prefix: str) -> str:
    forces = "".join(
        f"{prefix}{number:7d}{''.join(f'{x:12.6f}' for x in force)}\n" for number, force in enumerate(frame.forces, 1)
    )
    # SIESTA's stress is dE/dε / V: the other sign than pressure.
    stress = "".join(f"{prefix}  {row(vector, '11.6f')}\n" for vector in -pressure_like(frame))
    pressure = -sum(-pressure_like(frame)[axis, axis] for axis in range(3)) / 3
    return (
        f"siesta: Atomic forces (eV/Ang):\n{forces}----------------------------------------\n"
        "   Tot    0.000000    0.000000    0.000000\n\n"
        f"siesta: Stress tensor (static) (eV/Ang**3):\n{stress}\nsiesta: Pressure (static): {pressure:20.8f}  kBar\n\n"
    )


_END = ">> End of run:   1-JAN-2026  10:00:00\nJob completed\n"


def write_single(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    # The tables come once where they are computed, and again in the summary at the end.
    text = header(frame, "CG") + structure(frame) + energy(frame) + labels(frame, "") + labels(frame, "siesta: ") + _END
    (folder / "siesta.out").write_text(text)


def write_md(folder: Path, frames: Sequence[Frame]) -> None:
    steps = [
        f"{' ' * 24}====================================\n{' ' * 27}Begin MD step = {number:6d}\n"
        f"{' ' * 24}====================================\n\n{structure(frame)}{energy(frame)}{labels(frame, '')}"
        for number, frame in enumerate(frames, 1)
    ]
    (folder / "siesta.out").write_text(header(frames[0], "Verlet") + "".join(steps) + _END)


# Stress has six decimals in eV/Å³: times the volume of some 250 Å³.
GENERATORS = (
    Generator(
        "siesta/output", write_single, many=False, energy=6e-7, length=6e-7, force=6e-7, virial_ev=1.5e-4,
        theory=THEORY, converged=True,
    ),
    Generator(
        "siesta/aimd_output", write_md, energy=6e-7, length=6e-7, force=6e-7, virial_ev=1.5e-4, theory=THEORY,
        converged=True,
    ),
)  # fmt: skip
