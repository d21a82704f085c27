"""Amber: sander's topology, NetCDF trajectories of positions and forces, and energies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from frames.frame import Frame
from scipy.io import netcdf_file

from outputs.generator import Generator
from outputs.units import KCAL_PER_MOL

# GAFF: 'os' and 'ca' are an ether's oxygen and an aromatic carbon.
TYPES = {"O": "os", "H": "hc", "Si": "Si", "C": "ca"}


def _flag(name: str, form: str, cells: Sequence[str]) -> str:
    count = int(form[1 : form.index("a") if "a" in form else form.index("I")])
    lines = [cells[start : start + count] for start in range(0, len(cells), count)]
    body = "".join("".join(line) + "\n" for line in lines)
    return f"%FLAG {name:<74}\n%FORMAT{form:<73}\n{body}"


def _trajectory(path: Path, arrays: dict[str, Any], natoms: int) -> None:
    with netcdf_file(path, "w") as file:
        file.Conventions = "AMBER"
        file.createDimension("frame", None)
        file.createDimension("atom", natoms)
        file.createDimension("spatial", 3)
        for name, values in arrays.items():
            dimensions = ("frame", "atom", "spatial") if values.ndim == 3 else ("frame", "spatial")
            kind = "d" if name.startswith("cell") else "f"
            file.createVariable(name, kind, dimensions)[:] = values


def write(folder: Path, frames: Sequence[Frame]) -> None:
    first = frames[0]
    topology = "%VERSION  VERSION_STAMP = V0001.000  DATE = 11/25/26  12:00:00\n"
    topology += _flag("ATOMIC_NUMBER", "(10I8)", [f"{number:8d}" for number in first.numbers])
    topology += _flag("AMBER_ATOM_TYPE", "(20a4)", [f"{TYPES[symbol]:<4}" for symbol in first.symbols])
    (folder / "run.parm7").write_text(topology)
    cells = np.array([frame.cell for frame in frames])
    lengths = np.linalg.norm(cells, axis=-1)
    units = cells / lengths[..., None]
    cosines = [np.sum(units[:, one] * units[:, two], axis=-1) for one, two in ((1, 2), (0, 2), (0, 1))]
    angles = np.degrees(np.arccos(np.array(cosines).T))
    coords = np.array([frame.coords for frame in frames])
    boxes = {"cell_lengths": lengths, "cell_angles": angles}
    _trajectory(folder / "run.nc", {"coordinates": coords, **boxes}, first.natoms)
    forces = np.array([frame.forces for frame in frames]) / KCAL_PER_MOL
    _trajectory(folder / "run.mdfrc", {"forces": forces, **boxes}, first.natoms)
    energies = "L0  Nsteps  time(ps)  Etot  EKinetic\nL6  Density  E_pot  E_vdw  E_el  E_hbon\n"
    for number, frame in enumerate(frames):
        energies += f"L0  {number}  0.001  0.0  0.0\nL6  0.9  {frame.energy / KCAL_PER_MOL:.10E}  0.0  0.0  0.0\n"
    (folder / "run.mden").write_text(energies)


GENERATORS = (Generator("amber/md", write, virial=False, energy=1e-5, length=2e-6, force=2e-6),)
