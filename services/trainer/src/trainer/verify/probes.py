"""What must not change when a structure is only told in another way, measured on one frame.

Each measure returns how far a prediction is from what it must be. Energies are per atom.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from dpa.batches import Prediction
from frames.frame import FloatArray, Frame

# Central differences of single precision energies are good to a few meV/Å at this displacement.
DISPLACEMENT_ANGSTROM = 2e-3
DERIVATIVE_TOLERANCE_EV_PER_ANGSTROM = 0.02
DERIVATIVE_RELATIVE_TOLERANCE = 0.02
DIRECTIONS = 6
# Two copies of a molecule that are this far apart do not feel each other: no descriptor reaches so far.
APART_ANGSTROM = 100.0


class Predicts(Protocol):
    """A branch of the model."""

    def predict(self, frames: Sequence[Frame]) -> Prediction: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Largest difference found: energy in eV/atom, force in eV/Å (one component)."""

    energy: float
    force: float


def between(found: Prediction, energy: FloatArray, forces: FloatArray, atoms: Sequence[int]) -> Difference:
    """Of a prediction of frames with so many atoms from the energies [F] and forces [sum of atoms, 3] expected."""
    return Difference(
        energy=float(np.max(np.abs(found.energy - energy) / np.array(atoms))),
        force=float(np.max(np.abs(np.concatenate(found.forces) - forces))),
    )


def derivative_difference(predictor: Predicts, frame: Frame) -> tuple[float, float]:
    """Largest difference of −dE/dx from F·x, and what is allowed; both eV/Å.

    x are unit vectors in the space of all atoms: along the force, and random ones.
    """
    forces = predictor.predict([frame]).forces[0]
    random = np.random.default_rng(0)
    directions = [forces, *random.normal(size=(DIRECTIONS, *forces.shape))]
    units = [direction / length for direction in directions if (length := np.linalg.norm(direction)) > 0]
    moved = [
        replace(frame, coords=frame.coords + sign * DISPLACEMENT_ANGSTROM * unit) for unit in units for sign in (1, -1)
    ]
    energy = predictor.predict(moved).energy.reshape(-1, 2)
    slopes = -(energy[:, 0] - energy[:, 1]) / (2 * DISPLACEMENT_ANGSTROM)
    expected = np.array([float(np.sum(forces * unit)) for unit in units])
    allowed = DERIVATIVE_TOLERANCE_EV_PER_ANGSTROM + DERIVATIVE_RELATIVE_TOLERANCE * float(np.linalg.norm(forces))
    return float(np.max(np.abs(slopes - expected))), allowed


def permutation(predictor: Predicts, frame: Frame) -> Difference:
    """Atoms in another order: the same energy, each force with its atom."""
    order = np.random.default_rng(1).permutation(frame.natoms)
    before = predictor.predict([frame])
    told = predictor.predict([replace(frame, numbers=frame.numbers[order], coords=frame.coords[order])])
    return between(told, before.energy, before.forces[0][order], [frame.natoms])


def rotation(predictor: Predicts, frame: Frame) -> Difference:
    """Atoms and cell turned: the same energy, forces turned with them."""
    turn = _turn()
    before = predictor.predict([frame])
    cell = None if frame.cell is None else frame.cell @ turn.T
    turned = predictor.predict([replace(frame, coords=frame.coords @ turn.T, cell=cell)])
    return between(turned, before.energy, before.forces[0] @ turn.T, [frame.natoms])


def translation(predictor: Predicts, frame: Frame) -> Difference:
    """All atoms moved by one vector, each atom of a periodic cell by lattice vectors of its own: nothing changes."""
    random = np.random.default_rng(2)
    coords = frame.coords + random.normal(size=3)
    if frame.cell is not None:
        coords = coords + random.integers(-1, 2, size=(frame.natoms, 3)) @ frame.cell
    before = predictor.predict([frame])
    return between(predictor.predict([replace(frame, coords=coords)]), before.energy, before.forces[0], [frame.natoms])


def extensive(predictor: Predicts, frame: Frame) -> Difference:
    """The cell twice along its shortest vector: twice the energy, the same forces on each copy.

    A molecule: two copies far from each other.
    """
    before = predictor.predict([frame])
    cell = frame.cell
    if cell is None:
        step = np.array([APART_ANGSTROM, 0.0, 0.0])
    else:
        shortest = int(np.argmin(np.linalg.norm(cell, axis=1)))
        step = cell[shortest]
        cell = cell.copy()
        cell[shortest] *= 2
    double = replace(
        frame,
        numbers=np.tile(frame.numbers, 2),
        coords=np.concatenate([frame.coords, frame.coords + step]),
        cell=cell,
    )
    forces = np.tile(before.forces[0], (2, 1))
    return between(predictor.predict([double]), 2 * before.energy, forces, [double.natoms])


def _turn() -> FloatArray:
    """A rotation about no axis of symmetry, float64 [3, 3]."""
    orthogonal, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    return np.asarray(orthogonal * np.sign(np.linalg.det(orthogonal)), dtype=np.float64)
