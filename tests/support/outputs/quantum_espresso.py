"""Quantum ESPRESSO: pw.x (single points, dynamics with a moving cell) and cp.x."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import masses, pressure_like, row, rows
from outputs.units import BOHR, HARTREE, KBAR, RYDBERG

PW_THEORY: dict[str, str | float] = {
    "code": "Quantum ESPRESSO 7.2",
    "functional": "PBE",
    "cutoff_ev": round(60 * RYDBERG, 3),
    "k_points": "2 2 2 0 0 0",
    "basis": "O.pbe.UPF, H.pbe.UPF, Si.pbe.UPF, C.pbe.UPF",
}
CP_THEORY: dict[str, str | float] = {
    "code": "Quantum ESPRESSO cp.x",
    "cutoff_ev": round(60 * RYDBERG, 3),
    "basis": "O.pbe.UPF, H.pbe.UPF, Si.pbe.UPF, C.pbe.UPF",
}
_JOB_DONE = f"\n   This run was terminated on:  10: 0: 0   1Jan2026\n\n={'-' * 78}=\n   JOB DONE.\n={'-' * 78}=\n"


def species(frame: Frame) -> str:
    kinds = list(dict.fromkeys(frame.symbols))
    return "ATOMIC_SPECIES\n" + "".join(
        f" {symbol:2s} {mass:8.4f} {symbol}.pbe.UPF\n" for symbol, mass in zip(kinds, masses(kinds), strict=True)
    )


def positions(frame: Frame) -> str:
    return "".join(f"{one:2s} {row(place, '16.10f')}\n" for one, place in zip(frame.symbols, frame.coords, strict=True))


def pw_input(frame: Frame, system: str = "ibrav=0, nat={nat}, ntyp={ntyp}, ecutwfc=60.0d0") -> str:
    """Several assignments on a line, as people write them."""
    kinds = len(set(frame.symbols))
    return (
        "&control calculation='scf', tprnfor=.true., tstress=.true., pseudo_dir='./pseudo' ! a comment /\n/\n"
        f"&system {system.format(nat=frame.natoms, ntyp=kinds)} /\n&electrons conv_thr=1d-8 /\n"
        f"{species(frame)}CELL_PARAMETERS {{angstrom}}\n{rows(frame.cell, '16.10f')}"
        f"ATOMIC_POSITIONS (angstrom)\n{positions(frame)}K_POINTS automatic\n 2 2 2 0 0 0\n"
    )


def pw_header(frame: Frame) -> str:
    assert frame.cell is not None
    alat = float(np.linalg.norm(frame.cell[0]))
    axes = "".join(
        f"               a({number}) = ({''.join(f'{x:11.6f}' for x in vector)} )  \n"
        for number, vector in enumerate(frame.cell / alat, 1)
    )
    sites = "".join(
        f"     {number:5d}           {symbol:2s}  tau({number:4d}) = ({''.join(f'{x:12.7f}' for x in place)}  )\n"
        for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords / alat, strict=True), 1)
    )
    return (
        "\n     Program PWSCF v.7.2 starts on  1Jan2026 at 10: 0: 0 \n\n"
        "     This program is part of the open-source Quantum ESPRESSO suite\n\n"
        f"     lattice parameter (alat)  = {alat / BOHR:11.4f}  a.u.\n"
        f"     number of atoms/cell      = {frame.natoms:12d}\n"
        "     kinetic-energy cutoff     =      60.0000  Ry\n     charge density cutoff     =     240.0000  Ry\n"
        "     Exchange-correlation= PBE\n                           (   1   4   3   4   0   0   0)\n\n"
        f"     celldm(1)={alat / BOHR:11.6f}  celldm(2)=   0.000000  celldm(3)=   0.000000\n\n"
        f"     crystal axes: (cart. coord. in units of alat)\n{axes}\n   Cartesian axes\n\n"
        f"     site n.     atom                  positions (alat units)\n{sites}\n     number of k points=     4\n"
    )


def pw_step(frame: Frame, converged: bool = True) -> str:
    """From the self-consistency to the stress."""
    text = "\n     Self-consistent Calculation\n\n     iteration #  1     ecut=    60.00 Ry     beta= 0.50\n\n"
    text += f"     total energy              = {frame.energy / RYDBERG + 0.1:16.8f} Ry\n\n"
    text += "     End of self-consistent calculation\n"
    if not converged:
        return text + "\n     convergence NOT achieved after 100 iterations: stopping\n"
    text += f"\n!    total energy              = {frame.energy / RYDBERG:16.8f} Ry\n"
    text += (
        "     estimated scf accuracy    <          3.7E-09 Ry\n\n     convergence has been achieved in  14 iterations\n"
    )
    text += "\n     Forces acting on atoms (cartesian axes, Ry/au):\n\n"
    kinds = list(dict.fromkeys(frame.symbols))
    for number, (symbol, force) in enumerate(zip(frame.symbols, frame.forces * (BOHR / RYDBERG), strict=True), 1):
        numbers = "".join(f"{x:14.8f}" for x in force)
        text += f"     atom {number:4d} type {kinds.index(symbol) + 1:2d}   force = {numbers}\n"
    kbar = pressure_like(frame) / KBAR
    text += "\n     Total force =     0.326284     Total SCF correction =     0.000066\n\n\n"
    text += "     Computing stress (Cartesian axis) and pressure\n\n"
    text += f"          total   stress  (Ry/bohr**3)                   (kbar)     P={np.trace(kbar) / 3:12.2f}\n"
    for vector in kbar:
        printed = "".join(f"{x * KBAR * BOHR**3 / RYDBERG:14.8f}" for x in vector)
        text += f"{printed}{''.join(f'{x:12.2f}' for x in vector)}\n"
    return text + "\n\n"


def pw_moved(frame: Frame) -> str:
    return (
        f"CELL_PARAMETERS (angstrom)\n{rows(frame.cell, '14.9f')}\nATOMIC_POSITIONS (angstrom)\n{positions(frame)}\n\n"
    )


def pw_output(frames: Sequence[Frame]) -> str:
    text = pw_header(frames[0]) + pw_step(frames[0])
    return text + "".join(pw_moved(frame) + pw_step(frame) for frame in frames[1:]) + _JOB_DONE


def write_pw(folder: Path, frames: Sequence[Frame]) -> None:
    (folder / "scf.in").write_text(pw_input(frames[0]))
    (folder / "scf.out").write_text(pw_output(frames))


def write_cp(folder: Path, frames: Sequence[Frame]) -> None:
    first = frames[0]
    (folder / "run.in").write_text(pw_input(first))
    evp = "#   nfi  time(ps)        ekinc        Tcell(K)     Tion(K)          etot               enthal\n"
    blocks: dict[str, str] = dict.fromkeys((".pos", ".for", ".cel", ".str"), "")
    for number, frame in enumerate(frames):
        assert frame.cell is not None
        step, time = 10 * (number + 1), 0.001 * (number + 1)
        energy = frame.energy / HARTREE
        evp += f"{step:9d} {time:11.6f} {0.01:14.6e} {0:9.1f} {300:9.1f} {energy:20.10f} {energy + 0.5:20.10f}\n"
        tables = {
            ".pos": frame.coords / BOHR,
            ".for": frame.forces * (BOHR / HARTREE),
            ".cel": frame.cell.T / BOHR,
            ".str": pressure_like(frame) / (10 * KBAR),
        }
        for end, table in tables.items():
            blocks[end] += f"{step:10d} {time:15.8f}\n{rows(table, '23.14E', '')}"
    (folder / "run.evp").write_text(evp)
    for end, text in blocks.items():
        (folder / f"run{end}").write_text(text)


GENERATORS = (
    Generator(
        "qe/pw/scf", write_pw, energy=1e-7, length=6e-10, force=1.3e-7, virial_ev=8e-4, theory=PW_THEORY,
        converged=True,
    ),
    Generator("qe/cp/traj", write_cp, energy=2e-9, length=1e-9, force=1e-9, virial_ev=1e-7, theory=CP_THEORY),
)  # fmt: skip
