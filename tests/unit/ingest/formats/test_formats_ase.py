"""ASE trajectories: elements of each frame, constraints, missing labels."""

from pathlib import Path

from ase import Atoms
from ase.constraints import FixAtoms
from ase.io.trajectory import Trajectory
from read_outputs import atoms, good, read, rules


def test_frames_of_a_trajectory_have_their_own_elements(tmp_path: Path) -> None:
    with Trajectory(tmp_path / "md.traj", "w") as trajectory:
        for one in (atoms("HO", -1.0), atoms("OH", -2.0), atoms("SiC2", -3.0)):
            trajectory.write(one)
    found = good(tmp_path, "ase/traj")
    assert [one.symbols for one in found] == [["H", "O"], ["O", "H"], ["Si", "C", "C"]]
    assert [one.cell for one in found] == [None] * 3


def test_forces_on_fixed_atoms_are_kept(tmp_path: Path) -> None:
    fixed = atoms("H2", -1.0)
    fixed.set_constraint(FixAtoms([0]))
    with Trajectory(tmp_path / "md.traj", "w") as trajectory:
        trajectory.write(fixed)
    (found,) = good(tmp_path, "ase/traj")
    assert found.forces.tolist() == [[0.5] * 3] * 2


def test_a_trajectory_without_labels_says_so(tmp_path: Path) -> None:
    with Trajectory(tmp_path / "md.traj", "w") as trajectory:
        trajectory.write(Atoms("H"))
    assert rules(read(tmp_path, "ase/traj")) == ["no-energy"]
