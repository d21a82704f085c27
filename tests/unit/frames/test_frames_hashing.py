"""Hashes and the split that they decide."""

import dataclasses

import numpy as np
import pytest
from frames.frame import Frame
from frames.hashing import content_sha256, frame_hash, frame_hashes
from frames.split import held_out_count, split
from hypothesis import given
from hypothesis import strategies as st


def crystal(seed: int, natoms: int = 8, periodic: bool = True) -> Frame:
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * 5.47 + rng.normal(0, 0.3, (3, 3))
    return Frame(
        numbers=rng.choice([6, 14], natoms),
        coords=rng.uniform(0, 1, (natoms, 3)) @ cell,
        cell=cell if periodic else None,
        energy=float(rng.normal()),
        forces=rng.normal(0, 1, (natoms, 3)),
    )


@given(seed=st.integers(0, 2**32 - 1), periodic=st.booleans())
def test_atom_order_and_labels_do_not_matter(seed: int, periodic: bool) -> None:
    frame = crystal(seed, periodic=periodic)
    order = np.random.default_rng(seed + 1).permutation(frame.natoms)
    other = dataclasses.replace(
        frame, numbers=frame.numbers[order], coords=frame.coords[order], forces=frame.forces[order], energy=1.0
    )
    assert frame_hash(other) == frame_hash(frame)


@given(seeds=st.lists(st.integers(0, 2**32 - 1), max_size=12))
def test_many_frames_at_once_have_the_hash_of_each_alone(seeds: list[int]) -> None:
    frames = [crystal(seed, natoms=1 + seed % 3, periodic=seed % 5 > 0) for seed in seeds]
    assert frame_hashes(frames) == [frame_hash(frame) for frame in frames]


def test_hashes_are_the_same_for_ever() -> None:
    """Those of datasets that were kept are compared with those of new ones."""
    cell = np.array([[5.0, 0.0, 0.0], [0.5, 6.0, 0.0], [0.0, -0.25, 7.0]])
    coords = np.array([[0.0, 0.0, 0.0], [1.25, -2.5, 3.75], [9.0, 1.0, 2.0]])
    frames = [Frame(np.array([8, 1, 1]), coords, box, 0.0, np.zeros((3, 3))) for box in (cell, None)]
    assert [one.hex() for one in frame_hashes(frames)] == [
        "cb8f8843580305b4dfeb1eae04f6ef0870dea0b7c57c9face56c25df643400b6",
        "fa3ea37bc49ec61eb99f098b7f39e8123434d5650c0336d433a56ddc7f531c39",
    ]


@given(seed=st.integers(0, 2**32 - 1))
def test_displacement_cell_element_and_periodicity_matter(seed: int) -> None:
    frame = crystal(seed)
    assert frame.cell is not None
    moved = frame.coords.copy()
    moved[0, 0] += 3e-4
    changed = frame.numbers.copy()
    changed[0] = 32
    others = [
        dataclasses.replace(frame, coords=moved),
        dataclasses.replace(frame, cell=frame.cell * 1.0005),
        dataclasses.replace(frame, numbers=changed),
        dataclasses.replace(frame, cell=None),
    ]
    assert len({frame_hash(one) for one in [frame, *others]}) == 5


def triclinic(seed: int) -> Frame:
    """A cell of any shape that is not flat, with vectors of any number of decimals, and atoms in and around it."""
    rng = np.random.default_rng(seed)
    while True:
        cell = rng.normal(0, 1, (3, 3)) * rng.uniform(3, 20, (3, 1))
        if abs(np.linalg.det(cell)) > 0.2 * np.prod(np.linalg.norm(cell, axis=1)):
            break
    sites = rng.uniform(-1, 2, (6, 3))
    # Some lie on faces, as far as numbers can tell.
    sites[rng.random((6, 3)) < 0.2] = rng.choice([0.0, 1.0, 1 - 1e-15])
    return Frame(rng.choice([6, 14], 6), sites @ cell, cell, 0.0, np.zeros((6, 3)))


@given(seed=st.integers(0, 2**32 - 1), copies=st.lists(st.integers(-5, 5), min_size=18, max_size=18))
def test_lattice_vectors_do_not_matter_for_any_atom_in_any_cell(seed: int, copies: list[int]) -> None:
    frame = triclinic(seed)
    assert frame.cell is not None
    order = np.random.default_rng(seed).permutation(frame.natoms)
    moved = frame.coords + np.array(copies).reshape(-1, 3) @ frame.cell
    other = dataclasses.replace(frame, coords=moved[order], numbers=frame.numbers[order])
    assert frame_hash(other) == frame_hash(frame)


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.floats(0.01, 0.5),
    direction=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda one: np.linalg.norm(one) > 0.1),
    copies=st.lists(st.integers(-5, 5), min_size=3, max_size=3),
)
def test_displacements_matter_in_any_cell(
    seed: int, length: float, direction: tuple[float, float, float], copies: list[int]
) -> None:
    frame = triclinic(seed)
    assert frame.cell is not None
    moved = frame.coords.copy()
    moved[0] += length * np.array(direction) / np.linalg.norm(direction) + np.array(copies) @ frame.cell
    assert frame_hash(dataclasses.replace(frame, coords=moved)) != frame_hash(frame)


@given(seed=st.integers(0, 2**32 - 1))
def test_cells_that_are_printed_with_fewer_digits_divide_space_alike(seed: int) -> None:
    """What is printed in Å is where it is: an error of the cell that rounds away is none of the positions."""
    frame = triclinic(seed)
    assert frame.cell is not None
    cell = np.floor(frame.cell / 1e-4) * 1e-4 + 2e-5
    inside = np.random.default_rng(seed).uniform(0, 0.98, (6, 3)) @ cell
    printed, rounded = (dataclasses.replace(frame, coords=inside, cell=one) for one in (cell, cell + 1e-6))
    assert frame_hash(printed) == frame_hash(rounded)


@pytest.mark.parametrize("fraction", [0.0, 0.125, 0.25, 0.5])
def test_lattice_vectors_and_rounding_noise_do_not_matter_on_ideal_sites(fraction: float) -> None:
    cell = np.eye(3) * 5.47
    coords = np.array([[0.0, 0.0, 0.0], [fraction, 0.25, 0.375]]) @ cell
    frame = Frame(np.array([14, 6]), coords, cell, 0.0, np.zeros((2, 3)))
    shifted = dataclasses.replace(frame, coords=coords + np.array([[1, -2, 0], [0, 3, -1]]) @ cell + 1e-9)
    assert frame_hash(shifted) == frame_hash(frame)


def test_hash_is_the_same_in_every_run() -> None:
    """Stored datasets and their splits must not change when the code is edited."""
    frame = Frame(
        np.array([8, 1, 1]), np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]), None, 0.0, np.zeros((3, 3))
    )
    assert frame_hash(frame).hex() == "88594bd5be0d251f2e3a8f32187d10dc69c0dd1490f9212da102df62d8bd8b38"


def test_content_hash_ignores_order_and_sees_content() -> None:
    hashes = [frame_hash(crystal(seed)) for seed in range(5)]
    assert content_sha256(hashes) == content_sha256(reversed(hashes))
    assert content_sha256(hashes) != content_sha256(hashes[:-1])


@pytest.mark.parametrize(
    ("frames", "held_out"),
    [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1), (24, 6), (48, 12), (64, 16), (80, 20), (161, 20), (201, 21), (1000, 100)],
)
def test_how_many_are_held_out(frames: int, held_out: int) -> None:
    assert held_out_count(frames) == held_out


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=120, unique=True))
def test_split_is_a_partition_that_order_does_not_change(hashes: list[bytes]) -> None:
    train, held_out = split(hashes)
    assert sorted(train + held_out) == list(range(len(hashes)))
    assert len(held_out) == held_out_count(len(hashes))
    again, _ = split(hashes[::-1])
    assert {hashes[::-1][i] for i in again} == {hashes[i] for i in train}
