"""The closest pair of large structures: the same as comparing everything with everything."""

import time

import numpy as np
import pytest
from frames.crowds import closest_of_many
from frames.distances import FlatCell, closest_pair
from frames.frame import Frame
from hypothesis import given
from hypothesis import strategies as st


@given(seed=st.integers(0, 2**32 - 1), periodic=st.booleans())
def test_agrees_with_comparing_everything(seed: int, periodic: bool) -> None:
    rng = np.random.default_rng(seed)
    natoms = int(rng.integers(1, 40))
    numbers = rng.choice([1, 6, 14, 55], natoms)
    # From cells shorter than a bond to some that hold many boxes.
    cell = np.diag(rng.uniform(1.5, 12, 3)) + rng.uniform(-0.4, 0.4, (3, 3)) if periodic else None
    coords = rng.uniform(-15, 15, (natoms, 3))
    expected = closest_pair(Frame(numbers, coords, cell, 0.0, np.zeros_like(coords)), 0.8)
    found = closest_of_many(numbers, coords, cell, 0.8)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.ratio == pytest.approx(expected.ratio)
        assert found.distance == pytest.approx(expected.distance)


def test_a_hundred_thousand_atoms_are_a_matter_of_seconds() -> None:
    side = 47
    grid = np.stack(np.meshgrid(*(np.arange(side),) * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 2.7
    coords = grid[:100_000].astype(float)
    coords[77_777] = coords[5] + [0.4, 0, 0]
    start = time.monotonic()
    found = closest_of_many(np.full(len(coords), 14), coords, np.eye(3) * side * 2.7, 0.9)
    assert found is not None
    assert {found.first, found.second} == {5, 77_777}
    assert found.distance == pytest.approx(0.4)
    assert time.monotonic() - start < 60


def test_a_heap_of_atoms_in_one_place_is_seen_as_such() -> None:
    coords = np.zeros((20_000, 3))
    found = closest_of_many(np.full(len(coords), 1), coords, None, 0.6)
    assert found is not None
    assert found.ratio == 0


def test_a_cell_without_volume_is_refused() -> None:
    with pytest.raises(FlatCell):
        closest_of_many(np.array([1]), np.zeros((1, 3)), np.diag([1.0, 1.0, 0.0]), 0.6)
