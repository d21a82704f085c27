"""The least that a model must beat: energies from the composition alone, forces zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frames.align import align_energies
from frames.errors import energy_rmse, force_rmse
from frames.frame import SYMBOLS, FloatArray, Frame, element_counts


@dataclass(frozen=True, slots=True)
class Baseline:
    """Per-element energies (float64 [118], eV per atom) fitted by least squares."""

    element_energies: FloatArray

    def energies(self, frames: Sequence[Frame]) -> FloatArray:
        """Energy of each frame from its composition: float64 [F], eV."""
        return np.asarray(element_counts(frames) @ self.element_energies, dtype=np.float64)

    @classmethod
    def told(cls, by_element: Mapping[str, float]) -> "Baseline":
        """From element → eV per atom. Raises ValueError for what is no element."""
        energies = np.zeros(len(SYMBOLS))
        for symbol, energy in by_element.items():
            energies[SYMBOLS.index(symbol)] = energy
        return cls(energies)

    def by_element(self, frames: Sequence[Frame]) -> dict[str, float]:
        """Element → eV per atom, for the elements of these frames: what their baseline energies are made of."""
        present = np.flatnonzero(element_counts(frames).sum(axis=0))
        return {SYMBOLS[one]: float(self.element_energies[one]) for one in present}

    def energy_rmse(self, frames: Sequence[Frame]) -> float:
        """eV/atom on these frames."""
        reference = np.array([frame.energy for frame in frames])
        return energy_rmse(self.energies(frames) - reference, [frame.natoms for frame in frames])

    def force_rmse(self, frames: Sequence[Frame]) -> float:
        """eV/Å on these frames: the root mean square of the forces themselves."""
        return force_rmse([np.zeros_like(frame.forces) for frame in frames], [f.forces for f in frames])


def composition_only(frames: Sequence[Frame]) -> Baseline:
    """Fitted on these frames. Raises ValueError for none."""
    energies = np.array([frame.energy for frame in frames], dtype=np.float64)
    return Baseline(element_energies=align_energies(element_counts(frames), energies).shift)
