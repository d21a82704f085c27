"""ASE's binary trajectories, by ASE itself."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory
from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import pressure_like


def atoms(frame: Frame) -> Atoms:
    periodic = frame.cell is not None
    made = Atoms(frame.symbols, positions=frame.coords, cell=frame.cell, pbc=periodic)
    labels = {"energy": frame.energy, "forces": frame.forces}
    if frame.virial is not None:
        stress = -pressure_like(frame)
        labels["stress"] = np.array([stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))])
    made.calc = SinglePointCalculator(made, **labels)
    return made


def write(folder: Path, frames: Sequence[Frame]) -> None:
    with Trajectory(folder / "md.traj", "w") as trajectory:
        for frame in frames:
            trajectory.write(atoms(frame))


GENERATORS = (Generator("ase/traj", write, energy=1e-10, length=1e-10, force=1e-10, virial_ev=1e-9),)
