"""Cells and what they are read from, whatever the program: handedness, vacuum, mixed periodicity; convergence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import write as ase_write
from ase.io.trajectory import Trajectory
from frames.frame import Frame
from ingest.confined.judging import Raw, Unfit, atomic_numbers, frame
from ingest.confined.periodicity import settled
from outputs import GENERATORS
from read_outputs import Examples, atoms, good, read, rules


@pytest.mark.parametrize("name", ["abacus/scf", "abacus/md", "abacus/relax", "cp2kdata/e_f", "deepmd/npy", "extxyz"])
def test_left_handed_lattice_vectors(name: str, examples: Examples, tmp_path: Path) -> None:
    """The same atoms, forces and virial, perhaps all inverted in space."""
    (one,) = examples(1, 1)
    assert one.cell is not None
    GENERATORS[name].write(tmp_path, [replace(one, cell=one.cell[[1, 0, 2]])])
    (found,) = good(tmp_path, name)
    assert found.cell is not None
    sign = np.sign(found.coords[0, 0])
    np.testing.assert_allclose(found.coords, sign * one.coords, atol=1e-6)
    np.testing.assert_allclose(found.forces, sign * one.forces, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found.virial), np.asarray(one.virial), atol=1e-5)
    # The same lattice, its vectors in a right-handed order.
    assert np.linalg.det(found.cell) > 0
    by_length = [np.argsort(np.linalg.norm(cell, axis=1)) for cell in (found.cell, one.cell)]
    np.testing.assert_allclose(found.cell[by_length[0]], sign * one.cell[by_length[1]], atol=1e-6)


@pytest.mark.parametrize(
    ("height", "pbc", "rule"),
    [
        (30.0, (True, True, False), None),
        (12.0, (True, True, False), "mixed-periodicity"),
        (12.0, (True, True, True), None),
        (12.0, (False, False, False), None),
        (30.0, (True, False, False), "mixed-periodicity"),
    ],
)
def test_a_direction_that_is_not_periodic_needs_vacuum(
    height: float, pbc: tuple[bool, bool, bool], rule: str | None, tmp_path: Path
) -> None:
    slab = atoms("Si2", -1.0, cell=[[4.0, 0, 0], [0, 4.0, 0], [0, 0, height]], pbc=pbc)
    with Trajectory(tmp_path / "md.traj", "w") as trajectory:
        trajectory.write(slab)
    ase_write(tmp_path / "slab.extxyz", slab)
    for name in ("ase/traj", "extxyz"):
        (found,) = read(tmp_path, name)
        assert rules([found]) == [rule]
        if isinstance(found, Frame):
            assert (found.cell is not None) == any(pbc)


def test_vacuum_is_measured_across_the_layer_in_a_slanted_cell() -> None:
    cell = np.array([[4.0, 0, 0], [0, 4.0, 0], [20.0, 0, 12.0]])
    coords = np.array([[0.0, 0, 0], [1.0, 0, 1.5]])
    assert settled(cell, (True, True, False), coords) is cell
    with pytest.raises(Unfit, match=r"not periodic along c and has 9.0 Å of vacuum"):
        settled(cell, (True, True, False), coords * 2)


def test_what_a_reader_gives_may_know_nothing_of_convergence(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["extxyz"].write(tmp_path, examples(1, 1))
    assert good(tmp_path, "extxyz")[0].converged is None
    raw = Raw(["H"], np.zeros((1, 3)), None, 0.0, np.zeros((1, 3)), None, converged=False)
    with pytest.raises(Unfit) as unfit:
        frame(raw, atomic_numbers(raw.symbols), 0)
    assert unfit.value.rule == "unconverged"
