"""Energies against the work of forces: right labels fit on any element, wrong ones are named, one bad frame is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from contracts.base import RuleResult
from crystals import crystals, morse_frame
from frames.frame import Frame
from metric.domain.consistency import Consistency, judge_consistency, judge_strain
from metric.domain.neighbours import steps
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()
HARTREE, BOHR = 27.211386, 0.529177


def shaken(count: int = 24, displacement: float = 0.05, strain: float = 0.0) -> list[Frame]:
    """One zincblende cell at rest, its atoms displaced: a potential with true forces and virials."""
    random = np.random.default_rng(4)
    ideal = crystals("Ge", "C", 1, seed=1)[0]
    assert ideal.cell is not None
    fractions, rest = ideal.coords @ np.linalg.inv(ideal.cell), 3.28 * np.eye(3)
    frames = []
    for index in range(count):
        cell = rest @ (np.eye(3) + random.normal(0, strain, (3, 3)))
        coords = fractions @ cell + random.normal(0, displacement, fractions.shape)
        frames.append(morse_frame(ideal.symbols, coords, cell, index=index))
    return frames


def consistency(frames: list[Frame]) -> tuple[Consistency | None, RuleResult | None]:
    return judge_consistency(frames, steps(frames), LIMITS)


def test_work_is_that_of_forces_and_strain() -> None:
    frames = shaken(12, 0.02, strain=0.003)
    found = steps(frames)
    assert len(found) >= 12
    assert all(one.first < one.second for one in found)
    energy, work = (np.array([getattr(one, name) for one in found]) for name in ("energy", "work"))
    np.testing.assert_allclose(work, energy, atol=0.1 * np.abs(energy).max())
    assert np.abs([one.strain_work for one in found]).max() > 0.01 * np.abs(energy).max()


def test_an_atom_that_crosses_the_boundary_has_hardly_moved() -> None:
    one, other = shaken(2, 0.02)
    assert one.cell is not None
    across = replace(other, coords=other.coords + one.cell[0] - one.cell[2])
    assert steps([one, across])[0].force_work == pytest.approx(steps([one, other])[0].force_work)


def test_other_atoms_other_order_and_far_structures_make_no_step() -> None:
    one, other = shaken(2, 0.02)
    turned = replace(other, numbers=other.numbers[::-1].copy())
    far = replace(other, coords=other.coords + np.eye(8, 3))
    assert steps([one, turned]) == []
    assert steps([one, far]) == []
    assert steps([one]) == []


def test_without_virials_only_equal_cells_are_compared() -> None:
    assert steps([replace(one, virial=None) for one in shaken(12, strain=0.01)]) == []
    assert len(steps([replace(one, virial=None) for one in shaken(12)])) >= 12


def test_molecules_are_compared_where_they_are_not_turned() -> None:
    assert len(steps([replace(one, cell=None, virial=None) for one in shaken(12)])) >= 12


def test_right_labels_fit() -> None:
    seen, result = consistency(shaken())
    assert seen is not None
    assert result is not None
    assert result.passed
    assert seen.factor == pytest.approx(1, abs=0.1)
    assert seen.agree > 0.95


def test_few_near_frames_say_nothing() -> None:
    assert consistency(shaken(3)) == (None, None)
    assert consistency(shaken(24, displacement=0.4)) == (None, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: replace(f, forces=-f.forces), "opposite signs"),
        (lambda f: replace(f, energy=-f.energy), "opposite signs"),
        (lambda f: replace(f, energy=f.energy / HARTREE), "energies in hartree"),
        (lambda f: replace(f, energy=2 * f.energy / HARTREE), "energies in rydberg"),
        (lambda f: replace(f, energy=f.energy / 8), "energies per atom"),
        (lambda f: replace(f, forces=f.forces / HARTREE), "hartree/Å or rydberg/bohr"),
        (lambda f: replace(f, forces=f.forces * BOHR / HARTREE), "hartree/bohr"),
        (lambda f: replace(f, forces=-f.forces * BOHR / HARTREE), "turned too"),
        (lambda f: replace(f, forces=f.forces * BOHR), "per bohr"),
        (lambda f: replace(f, forces=f.forces / BOHR), "converted from per bohr twice"),
        (lambda f: replace(f, forces=f.forces / 4), "their units do not match"),
        (lambda f: replace(f, forces=f.forces[::-1]), "do not belong together"),
        (lambda f: replace(f, energy=f.energy + 8 * (f.index % 2)), "two references"),
        (lambda f: replace(f, forces=0 * f.forces), "All forces are zero"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[Frame], Frame], words: str) -> None:
    _, result = consistency([change(frame) for frame in shaken(40)])
    assert result is not None
    assert not result.passed
    assert words in result.sentence


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_softer_or_stiffer_force_is_no_other_unit(factor: float) -> None:
    _, result = consistency([replace(one, forces=factor * one.forces) for one in shaken()])
    assert result is not None
    assert result.passed


def test_one_bad_energy_is_not_the_datasets() -> None:
    frames = shaken(40)
    frames[7] = replace(frames[7], energy=frames[7].energy + 30)
    _, result = consistency(frames)
    assert result is not None
    assert result.passed


def test_perfect_crystals_rightly_have_no_forces() -> None:
    frames = [replace(one, forces=0 * one.forces) for one in shaken(24, displacement=0.0, strain=0.01)]
    assert consistency(frames) == (None, None)


def test_noise_of_the_energies_is_no_contradiction() -> None:
    random = np.random.default_rng(3)
    frames = [replace(one, energy=-100 + random.normal(0, 1e-4)) for one in shaken(24, displacement=1e-5)]
    assert consistency(frames) == (None, None)


def test_the_sign_of_virials_shows_in_energies() -> None:
    frames = shaken(40, 0.02, strain=0.006)
    right = judge_strain(steps(frames))
    turned = judge_strain(steps([replace(one, virial=-one.virial) for one in frames if one.virial is not None]))
    assert right is not None
    assert right.passed
    assert turned is not None
    assert not turned.passed
    assert "wrong sign" in turned.sentence
    assert judge_strain(steps(shaken())) is None
