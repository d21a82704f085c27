"""Small labeled crystals from a formula: a Morse pair potential, summed over periodic images."""

from collections.abc import Sequence

import numpy as np
from frames.frame import ATOMIC_NUMBERS, FloatArray, Frame

DEPTH_EV = 0.4
STIFFNESS_PER_ANGSTROM = 1.6
LENGTH_ANGSTROM = {"Si": 2.35, "C": 1.55, "Ge": 2.45}
ATOM_ENERGY_EV = {"Si": -100.0, "C": -150.0, "Ge": -110.0}
# The neighbouring images reach beyond where the potential is felt.
_IMAGES = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=float)
_ZINCBLENDE = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def morse_frame(
    symbols: Sequence[str], coords: FloatArray, cell: FloatArray, *, source: str = "morse", index: int = 0
) -> Frame:
    """Energy (eV), forces (eV/Å) and virial (eV) of these atoms."""
    radii = np.array([LENGTH_ANGSTROM[symbol] / 2 for symbol in symbols])
    vectors = coords[None, :, None, :] + (_IMAGES @ cell)[None, None] - coords[:, None, None, :]
    distances = np.linalg.norm(vectors, axis=-1)
    apart = distances > 1e-6
    stretch = np.where(apart, distances, 1) - (radii[:, None] + radii[None])[..., None]
    decay = np.where(apart, np.exp(-STIFFNESS_PER_ANGSTROM * stretch), 0)
    energy = 0.5 * DEPTH_EV * float(np.sum(decay**2 - 2 * decay))
    slope = 2 * DEPTH_EV * STIFFNESS_PER_ANGSTROM * (decay - decay**2)
    pulls = (slope / np.where(apart, distances, 1))[..., None] * vectors
    return Frame(
        numbers=np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols]),
        coords=coords,
        cell=cell,
        energy=energy + sum(ATOM_ENERGY_EV[symbol] for symbol in symbols),
        forces=pulls.sum(axis=(1, 2)),
        virial=-0.5 * np.einsum("ijkx,ijky->xy", pulls, vectors),
        source=source,
        index=index,
    )


def crystals(first: str, second: str, count: int, seed: int) -> list[Frame]:
    """Zincblende cells of 8 atoms, strained and shaken."""
    random = np.random.default_rng(seed)
    symbols = [first] * 4 + [second] * 4
    length = (LENGTH_ANGSTROM[first] + LENGTH_ANGSTROM[second]) / 2 * 4 / np.sqrt(3)
    sites = np.concatenate([_ZINCBLENDE, _ZINCBLENDE + 0.25])
    frames = []
    for index in range(count):
        cell = length * (np.eye(3) + random.normal(scale=0.02, size=(3, 3)))
        coords = sites @ cell + random.normal(scale=0.06, size=(8, 3))
        frames.append(morse_frame(symbols, coords, cell, index=index))
    return frames
