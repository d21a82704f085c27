"""Scores on the standard dataset with round numbers."""

from collections.abc import Mapping

from contracts.standard import StandardBranchScore, StandardScore


def standard_score(standard: int, ratios: Mapping[str, tuple[float, float]], *zero_shot: str) -> StandardScore:
    """`ratios`: of each branch, energy and force, to a baseline of 100 meV/atom and 1000 meV/Å; equal ones for all."""
    energy, force = next(iter(ratios.values()))
    return StandardScore(
        standard=standard,
        score=0.5 * (energy + force),
        energy_ratio=energy,
        force_ratio=force,
        energy_rmse_mev_per_atom=100 * energy,
        force_rmse_mev_per_angstrom=1000 * force,
        branches=tuple(
            StandardBranchScore(
                branch=name,
                frames=20,
                energy_rmse_mev_per_atom=100 * of_energy,
                force_rmse_mev_per_angstrom=1000 * of_force,
                baseline_energy_rmse_mev_per_atom=100,
                baseline_force_rmse_mev_per_angstrom=1000,
                zero_shot=name in zero_shot,
            )
            for name, (of_energy, of_force) in ratios.items()
        ),
    )
