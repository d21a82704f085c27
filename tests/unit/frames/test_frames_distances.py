"""The closest pair in units of covalent radii: by hand, against brute force, and in cells smaller than a bond."""

import itertools

import ase.data
import numpy as np
import pytest
from frames.distances import FlatCell, closest_pair
from frames.frame import FloatArray, Frame
from frames.radii import COVALENT_RADII
from hypothesis import given
from hypothesis import strategies as st


def structure(numbers: list[int], coords: list[list[float]] | FloatArray, cell: FloatArray | None = None) -> Frame:
    positions = np.array(coords, dtype=float)
    return Frame(np.array(numbers), positions, cell, 0.0, np.zeros_like(positions))


def test_radii_are_cordero_s_where_he_gives_them() -> None:
    np.testing.assert_allclose(COVALENT_RADII[:96], ase.data.covalent_radii[1:97])
    assert len(COVALENT_RADII) == 118
    assert (COVALENT_RADII[96:] > 1.2).all()


def test_a_molecule_by_hand() -> None:
    # Two H at 0.31 Å: half of 0.31 + 0.31.
    pair = closest_pair(structure([1, 1], [[0, 0, 0], [0, 0, 0.31]]), 0.6)
    assert pair is not None
    assert (pair.first, pair.second) == (0, 1)
    assert pair.distance == pytest.approx(0.31)
    assert pair.ratio == pytest.approx(0.5)
    assert closest_pair(structure([1, 1], [[0, 0, 0], [0, 0, 0.38]]), 0.6) is None


def test_atoms_meet_across_the_boundary() -> None:
    frame = structure([14, 14], [[0.1, 1, 1], [9.4, 1, 1]], 10 * np.eye(3))
    pair = closest_pair(frame, 0.6)
    assert pair is not None
    assert pair.distance == pytest.approx(0.7)
    assert closest_pair(structure([14, 14], frame.coords), 0.6) is None


def test_an_atom_meets_its_own_image_in_a_tiny_cell() -> None:
    pair = closest_pair(structure([55], [[5.0, 5.0, 5.0]], np.diag([2.0, 9.0, 9.0])), 0.6)
    assert pair is not None
    assert pair.first == pair.second == 0
    assert pair.distance == pytest.approx(2.0)


def test_a_cell_without_volume_is_refused() -> None:
    with pytest.raises(FlatCell):
        closest_pair(structure([1], [[0, 0, 0]], np.diag([1.0, 1.0, 0.0])), 0.6)


@given(seed=st.integers(0, 2**32 - 1))
def test_agrees_with_brute_force_over_many_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    natoms = int(rng.integers(1, 5))
    # Skewed cells, some shorter than the longest distance that counts (Cs–Cs: 2.9 Å at 0.6).
    cell = np.diag(rng.uniform(2.0, 6.0, 3)) + np.tril(rng.uniform(-1.5, 1.5, (3, 3)), -1)
    numbers = rng.choice([1, 8, 14, 55], natoms)
    coords = rng.uniform(-20, 20, (natoms, 3))
    smallest = np.inf
    shifts = np.array(list(itertools.product(range(-6, 7), repeat=3))) @ cell
    wrapped = (coords @ np.linalg.inv(cell)) % 1 @ cell
    for i, j in itertools.combinations_with_replacement(range(natoms), 2):
        lengths = np.linalg.norm(wrapped[j] - wrapped[i] + shifts, axis=1)
        lengths = lengths[lengths > 1e-9] if i == j else lengths
        smallest = min(smallest, lengths.min() / (COVALENT_RADII[numbers[i] - 1] + COVALENT_RADII[numbers[j] - 1]))
    pair = closest_pair(structure(list(numbers), coords, cell), 0.6)
    if smallest < 0.6:
        assert pair is not None
        assert pair.ratio == pytest.approx(smallest)
    else:
        assert pair is None


def test_blocks_of_rows_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    frame = structure([8] * 40, rng.uniform(0, 4, (40, 3)), 4 * np.eye(3))
    whole = closest_pair(frame, 0.6)
    monkeypatch.setattr("frames.distances._PAIRS_AT_ONCE", 64)
    assert closest_pair(frame, 0.6) == whole
