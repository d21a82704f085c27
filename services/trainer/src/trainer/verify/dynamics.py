"""A short run at constant energy: a model whose forces and energies belong together keeps the total energy."""

from dataclasses import replace

import numpy as np
from ase.data import atomic_masses
from frames.frame import FloatArray, Frame

from trainer.verify.probes import Predicts

STEPS = 200
TEMPERATURE_KELVIN = 100.0
# Hydrogen moves about three times faster than everything else.
TIME_STEP_FS = 0.5
TIME_STEP_WITH_HYDROGEN_FS = 0.25

# Beyond this nothing more is to be learned, and structures that no neighbour list was made for would follow.
LOST_MEV_PER_ATOM = 1000.0

_BOLTZMANN_EV_PER_KELVIN = 8.617333262e-5
# One femtosecond in Å·√(u/eV), the time in which energies are eV, lengths Å and masses atomic units.
_FS = 0.09822694788
_HYDROGEN = 1


def constant_energy(predictor: Predicts, frame: Frame, steps: int = STEPS) -> float:
    """The largest distance of the total energy from where it started, meV/atom.

    Velocity Verlet from the frame, with velocities of 100 K and no total momentum; seeded. It ends early once the
    energy is lost (`LOST_MEV_PER_ATOM`); infinite when energy or forces became no numbers.
    """
    masses = np.asarray(atomic_masses[frame.numbers], dtype=np.float64)[:, None]
    step = _FS * (TIME_STEP_WITH_HYDROGEN_FS if _HYDROGEN in frame.numbers else TIME_STEP_FS)
    velocities = _velocities(masses)
    coords = frame.coords
    potential, forces = _at(predictor, frame, coords)
    start = potential + _kinetic(masses, velocities)
    largest = 0.0
    for _ in range(steps):
        velocities = velocities + 0.5 * step * forces / masses
        coords = coords + step * velocities
        potential, forces = _at(predictor, frame, coords)
        velocities = velocities + 0.5 * step * forces / masses
        moved = 1e3 * abs(potential + _kinetic(masses, velocities) - start) / frame.natoms
        if not (np.isfinite(moved) and np.isfinite(forces).all()):
            return float("inf")
        largest = max(largest, moved)
        if largest > LOST_MEV_PER_ATOM:
            break
    return largest


def _at(predictor: Predicts, frame: Frame, coords: FloatArray) -> tuple[float, FloatArray]:
    predicted = predictor.predict([replace(frame, coords=coords)])
    return float(predicted.energy[0]), predicted.forces[0]


def _velocities(masses: FloatArray) -> FloatArray:
    random = np.random.default_rng(4).normal(size=(len(masses), 3))
    velocities = random * np.sqrt(_BOLTZMANN_EV_PER_KELVIN * TEMPERATURE_KELVIN / masses)
    return np.asarray(velocities - (masses * velocities).sum(axis=0) / masses.sum(), dtype=np.float64)


def _kinetic(masses: FloatArray, velocities: FloatArray) -> float:
    return float(0.5 * np.sum(masses * velocities**2))
