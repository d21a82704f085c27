"""ASE's .traj files: dpdata takes elements from the first frame, and forces with those of fixed atoms set to zero."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ingest.confined.extxyz import full
from ingest.confined.judging import MOST_ATOMS, Raw, Unfit, too_many_atoms
from ingest.confined.periodicity import settled


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames in order, labels as the calculator gave them. Raises what ASE raises for a damaged file."""
    from ase.io.trajectory import Trajectory

    with Trajectory(str(files[0])) as trajectory:
        for index in range(len(trajectory)):
            atoms = trajectory[index]
            if len(atoms) > MOST_ATOMS:
                yield too_many_atoms(len(atoms))
                continue
            try:
                yield _frame(atoms)
            except Unfit as unfit:
                yield unfit


def _frame(atoms: Any) -> Raw:
    results = getattr(getattr(atoms, "calc", None), "results", {})
    coords = np.array(atoms.positions)
    cell = settled(np.array(atoms.cell), atoms.pbc.tolist(), coords)
    stress, virial = results.get("stress"), None
    if stress is not None and cell is not None:
        virial = -abs(np.linalg.det(cell)) * full(np.asarray(stress, dtype=np.float64))
    return Raw(
        symbols=atoms.get_chemical_symbols(),
        coords=coords,
        cell=cell,
        # Forces are the gradient of the free energy where there is one (smeared electrons).
        energy=results.get("free_energy", results.get("energy")),
        forces=results.get("forces"),
        virial=virial,
    )
