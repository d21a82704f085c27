"""ABACUS 3.5: INPUT, STRU and KPT, and what it writes below OUT.ABACUS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import fractional, groups, masses, pressure_like, row, rows
from outputs.units import BOHR, KBAR

THEORY: dict[str, str | float] = {
    "code": "ABACUS v3.5.0",
    "functional": "PBE",
    "cutoff_ev": 1360.569,
    "k_points": "2 2 2 0 0 0",
    "basis": "lcao, O.upf, H.upf, Si.upf, C.upf",
}


def _stru(frame: Frame) -> str:
    kinds = groups(frame)
    text = "ATOMIC_SPECIES\n"
    text += "".join(f"{kind} {masses([kind])[0]} {kind}.upf\n" for kind, _ in kinds)
    text += f"\nLATTICE_CONSTANT\n{1 / BOHR:.12f}\n\nLATTICE_VECTORS\n{rows(frame.cell)}\nATOMIC_POSITIONS\nCartesian\n"
    places = iter(frame.coords)
    for kind, count in kinds:
        text += f"{kind}\n0.0\n{count}\n" + "".join(f"{row(next(places))} 1 1 1\n" for _ in range(count))
    return text


def _inputs(folder: Path, frame: Frame, calculation: str) -> Path:
    (folder / "STRU").write_text(_stru(frame))
    (folder / "KPT").write_text("K_POINTS\n0\nGamma\n2 2 2 0 0 0\n")
    (folder / "INPUT").write_text(
        f"INPUT_PARAMETERS\nsuffix ABACUS\ncalculation {calculation}\nbasis_type lcao\necutwfc 100\ncal_force 1\n"
        "cal_stress 1\n"
    )
    out = folder / "OUT.ABACUS"
    out.mkdir()
    return out


def _said(name: str, value: object) -> str:
    return f"{name:>41} = {value}\n"


def _head(frame: Frame) -> str:
    text = "\n                              ABACUS v3.5.0\n\n" + _said("lattice constant (Bohr)", f"{1 / BOHR:.12f}")
    for number, (kind, count) in enumerate(groups(frame), 1):
        text += f" READING ATOM TYPE {number}\n" + _said("atom label", kind)
        text += _said("number of atom for this type", count)
    text += f"\n DIRECT COORDINATES\n{'atom':>12} x y z mag\n" + _direct(frame)
    text += _vectors(frame) + _said("exchange-correlation functional", "PBE")
    return text + _said("energy cutoff for wavefunc (unit:Ry)", 100)


def _direct(frame: Frame) -> str:
    places = zip(frame.symbols, fractional(frame), strict=True)
    return "".join(f" taud_{symbol}{number} {row(place)} 0.0\n" for number, (symbol, place) in enumerate(places, 1))


def _vectors(frame: Frame) -> str:
    return f"\n Lattice vectors: (Cartesian coordinate: in unit of a_0)\n{rows(frame.cell)}"


def _labels(frame: Frame, forces: bool = True) -> str:
    """As they follow a converged self-consistency."""
    line = " " + "-" * 70 + "\n"
    text = f"\n charge density convergence is achieved\n final etot is {frame.energy:.12f} eV\n"
    if not forces:
        return text
    text += f"\n TOTAL-FORCE (eV/Angstrom)\n{line}"
    counts: dict[str, int] = {}
    for symbol, force in zip(frame.symbols, frame.forces, strict=True):
        counts[symbol] = counts.get(symbol, 0) + 1
        text += f" {symbol}{counts[symbol]} {row(force)}\n"
    return text + f"{line}\n TOTAL-STRESS (KBAR)\n{line}{rows(pressure_like(frame) / KBAR)}{line}"


UNCONVERGED = "\n !! convergence has not been achieved @_@\n"
_END = "\n Finish Time  : Wed Nov 25 12:00:00 2026\n Total  Time  : 0 h 0 mins 9 secs\n"


def write_scf(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    out = _inputs(folder, frame, "scf")
    (out / "running_scf.log").write_text(_head(frame) + _labels(frame) + _END)


def write_relax(folder: Path, frames: Sequence[Frame]) -> None:
    out = _inputs(folder, frames[0], "cell-relax")
    text = _head(frames[0]) + _labels(frames[0])
    for frame in frames[1:]:
        text += f"\n DIRECT COORDINATES\n{'atom':>12} x y z mag\n" + _direct(frame) + _vectors(frame) + _labels(frame)
    (out / "running_cell-relax.log").write_text(text + _END)


def write_md(folder: Path, frames: Sequence[Frame]) -> None:
    out = _inputs(folder, frames[0], "md")
    (out / "running_md.log").write_text(_head(frames[0]) + "".join(_labels(frame) for frame in frames) + _END)
    (out / "MD_dump").write_text("".join(_dumped(number, frame) for number, frame in enumerate(frames)))


def _dumped(number: int, frame: Frame) -> str:
    text = f"MDSTEP:  {number}\nLATTICE_CONSTANT: 1.000000000000 Angstrom\nLATTICE_VECTORS\n{rows(frame.cell)}"
    text += f"VIRIAL (kbar)\n{rows(pressure_like(frame) / KBAR)}"
    text += "INDEX    LABEL    POSITION (Angstrom)    FORCE (eV/Angstrom)    VELOCITY (Angstrom/fs)\n"
    atoms: Any = zip(frame.symbols, frame.coords, frame.forces, strict=True)
    for index, (symbol, place, force) in enumerate(atoms):
        text += f"  {index}  {symbol}  {row(place)} {row(force)} {row([0.01, 0.02, 0.03])}\n"
    return text + "\n\n"


GENERATORS = (
    Generator("abacus/scf", write_scf, many=False, theory=THEORY, converged=True),
    Generator("abacus/md", write_md, theory=THEORY, converged=True),
    Generator("abacus/relax", write_relax, theory=THEORY, converged=True),
)
