"""Legal files that dpdata's readers misread or refuse, read right or refused with the reason; unconverged steps."""

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import write as ase_write
from ase.io.trajectory import Trajectory
from frames.frame import Frame
from ingest.confined import readers
from ingest.confined.catalogue import formats
from ingest.confined.finding import Format, Tree, find
from ingest.confined.judging import Raw, Unfit, atomic_numbers, frame
from ingest.confined.periodicity import settled
from ingest.confined.reading import Parser
from outputs import GENERATORS, abacus, cp2k, fhi_aims, gaussian
from outputs.units import BOHR, HARTREE, KBAR

Examples = Callable[..., list[Frame]]
ROWS = {one["name"]: one for one in formats()}


def read(root: Path, name: str) -> list[Frame | Unfit]:
    """The one calculation of that format below root: its frames, and why one is none."""
    row = ROWS[name]
    (calculation,) = find(Tree(root), Format(name, row["reads"], tuple(row["names"])))
    wanted = {"format": name, "files": list(calculation.files), "options": calculation.options, "multi": row["multi"]}
    found: list[Frame | Unfit] = []
    for index, raw in enumerate(readers.frames(root, wanted)):
        try:
            if isinstance(raw, Unfit):
                raise raw
            found.append(frame(raw, atomic_numbers(raw.symbols), index))
        except Unfit as unfit:
            found.append(unfit)
    return found


def good(root: Path, name: str) -> list[Frame]:
    found = read(root, name)
    assert all(isinstance(one, Frame) for one in found), found
    return [one for one in found if isinstance(one, Frame)]


def refused(root: Path, name: str) -> Unfit:
    with pytest.raises(Unfit) as unfit:
        read(root, name)
    return unfit.value


def set_aside(root: Path, name: str) -> list[tuple[int | None, str]]:
    """Frame and rule of what the parse loop sets aside of the one calculation."""
    row = ROWS[name]
    (calculation,) = find(Tree(root), Format(name, row["reads"], tuple(row["names"])))
    wanted = {"number": 0, "format": name, "files": list(calculation.files), "options": calculation.options}
    report = io.BytesIO()
    parser = Parser({"tree": str(root)}, [report, io.BytesIO(), io.BytesIO()])
    parser.read([wanted | {"multi": row["multi"], "theory": True}])
    (end,) = [said for line in report.getvalue().splitlines() if "end" in (said := json.loads(line))]
    return [(one["frame"], one["rule"]) for one in end["set_aside"]]


def rules(found: Sequence[Frame | Unfit]) -> list[str | None]:
    return [one.rule if isinstance(one, Unfit) else None for one in found]


def edit(path: Path, pattern: str, by: str, count: int = 0) -> None:
    text, changed = re.subn(pattern, by, path.read_text(), count=count)
    assert changed
    path.write_text(text)


# Gaussian


def test_gaussian_energies_of_mp2_are_not_those_of_its_forces(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["gaussian/log"].write(tmp_path, examples(1, 1))
    edit(tmp_path / "molecule.log", r"( SCF Done:.*\n)", r"\1 E2 =  -0.2D+00 EUMP2 =    -0.76331D+02\n")
    assert refused(tmp_path, "gaussian/log").rule == "energy-of-another-method"


def test_gaussian_steps_that_did_not_converge(examples: Examples, tmp_path: Path) -> None:
    frames = examples(3, 1)
    GENERATORS["gaussian/md"].write(tmp_path, frames)
    text = (tmp_path / "dynamics.log").read_text()
    warning = " >>>>>>>>>> Convergence criterion not met.\n SCF Done:"
    second = text.replace(" SCF Done:", "\0", 1).replace(" SCF Done:", warning, 1).replace("\0", " SCF Done:")
    (tmp_path / "dynamics.log").write_text(second)
    assert rules(read(tmp_path, "gaussian/md")) == [None, "unconverged", None]


def test_gaussian_molecules_have_no_cell(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    GENERATORS["gaussian/log"].write(tmp_path, [replace(one, cell=None)])
    (found,) = good(tmp_path, "gaussian/log")
    assert found.cell is None


def test_a_gaussian_job_that_failed_says_why(examples: Examples, tmp_path: Path) -> None:
    text = " Entering Gaussian System\n" + gaussian.step(examples(1, 1)[0])[:900]
    (tmp_path / "a.log").write_text(text + " Convergence failure -- run terminated.\n")
    assert set_aside(tmp_path, "gaussian/log") == [(None, "unconverged")]


# FHI-aims


def test_a_relaxation_of_fhi_aims_is_not_paired_with_the_next_steps_structure(
    examples: Examples, tmp_path: Path
) -> None:
    frames = examples(3, 1)
    fhi_aims.write_relaxation(tmp_path, frames)
    found = good(tmp_path, "fhi_aims/output")
    assert len(found) == 3
    for one, other in zip(found, frames, strict=True):
        np.testing.assert_allclose(one.coords, other.coords, atol=1e-8)
        np.testing.assert_allclose(np.asarray(one.cell), np.asarray(other.cell), atol=1e-8)
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-8)
        np.testing.assert_allclose(np.asarray(one.virial), np.asarray(other.virial), atol=1e-6)


def test_dynamics_of_fhi_aims_that_break_off(examples: Examples, tmp_path: Path) -> None:
    """The structure stands after its forces: without it, the last step has none."""
    fhi_aims.write_md(tmp_path, examples(3, 1, fixed_cell=True))
    text = (tmp_path / "aims.out").read_text()
    (tmp_path / "aims.out").write_text(text[: text.rindex("  Atomic structure (and")])
    assert rules(read(tmp_path, "fhi_aims/output")) == [None, None, "truncated"]


def test_fractional_structures_and_molecules_of_fhi_aims(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    fhi_aims.write_scf(tmp_path, [one])
    path = tmp_path / "aims.out"
    assert one.cell is not None
    corner = "\n  Updated atomic structure:\n" + fhi_aims.lattice(one) + "  atom_frac 0.5 0.5 0.5 O\n" * 5
    path.write_text(path.read_text() + corner + "  Begin self-consistency loop: R\n" + fhi_aims.labels(one))
    np.testing.assert_allclose(good(tmp_path, "fhi_aims/scf")[1].coords[3], one.cell.sum(axis=0) / 2, atol=1e-7)
    fhi_aims.write_scf(tmp_path, [one])
    edit(path, r"  \| Unit cell:\n(  \|.*\n){3}", "  | No unit cell requested.\n")
    (found,) = good(tmp_path, "fhi_aims/scf")
    assert (found.cell, found.virial) == (None, None)


def test_an_unconverged_single_point_of_fhi_aims(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    text = fhi_aims.head(one, "") + fhi_aims.labels(one, converged=False)
    (tmp_path / "aims.out").write_text(f"{text}  Self-consistency cycle did not converge\n")
    assert set_aside(tmp_path, "fhi_aims/scf") == [(0, "unconverged")]
    (tmp_path / "aims.out").write_text(text[: text.index("  | Total energy")])
    assert set_aside(tmp_path, "fhi_aims/scf") == [(None, "truncated")]


# CP2K


@pytest.mark.parametrize(("said", "periodic"), [("XYZ", True), ("NONE", False)])
def test_cp2k_says_whether_it_is_periodic(said: str, periodic: bool, examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    (tmp_path / "a.log").write_text(cp2k.head(one, "ENERGY_FORCE", said) + cp2k.step(one, forces=True))
    (found,) = good(tmp_path, "cp2kdata/e_f")
    assert (found.cell is not None) == periodic


def test_single_points_of_cp2k_2024_2_and_later(examples: Examples, tmp_path: Path) -> None:
    """Energy in [hartree], a table of forces of its own, stress in bar: cp2kdata knows none of them."""
    (one,) = examples(1, 1)
    text = cp2k.head(one, "ENERGY_FORCE").replace("CP2K version 2023.1", "CP2K version 2025.1")
    text += "  *** SCF run converged in     9 steps ***\n\n"
    text += f" ENERGY| Total FORCE_EVAL ( QS ) energy [hartree] {one.energy / HARTREE:33.15f}\n\n"
    text += " FORCES| Atomic forces [hartree/bohr]\n FORCES|   Atom     x               y               z      |f|\n"
    for number, (x, y, z) in enumerate(one.forces * BOHR / HARTREE, 1):
        text += f" FORCES|{number:7d} {x:15.8E} {y:15.8E} {z:15.8E} {1.0:15.8E}\n"
    text += " FORCES|    Sum  0.00000000E+00  0.00000000E+00  0.00000000E+00  0.00000000E+00\n\n"
    text += " STRESS| Analytical stress tensor [bar]\n STRESS|             x         y         z\n"
    assert one.virial is not None
    assert one.cell is not None
    for name, (x, y, z) in zip("xyz", one.virial / np.linalg.det(one.cell) / (1e-3 * KBAR), strict=True):
        text += f" STRESS|      {name} {x:20.11E} {y:20.11E} {z:20.11E}\n"
    (tmp_path / "a.log").write_text(text)
    (found,) = good(tmp_path, "cp2kdata/e_f")
    assert found.energy == pytest.approx(one.energy, abs=1e-6)
    np.testing.assert_allclose(found.forces, one.forces, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found.virial), one.virial, atol=1e-6)
    edit(tmp_path / "a.log", r"\[hartree/bohr\]", "[kcal/mol/angstrom]")
    assert refused(tmp_path, "cp2kdata/e_f").rule == "unknown-unit"


def test_kinds_of_cp2k_are_their_elements(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["cp2kdata/e_f"].write(tmp_path, examples(1, 1))
    edit(tmp_path / "output.log", "Atomic kind: C ", "Atomic kind: Ca_of_mine ")
    assert good(tmp_path, "cp2kdata/e_f")[0].symbols == ["O", "H", "H", "Si", "C"]


def test_a_single_point_of_cp2k_that_did_not_converge(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    text = cp2k.head(one, "ENERGY_FORCE")
    (tmp_path / "a.log").write_text(text + cp2k.step(one, forces=True, converged=False))
    assert set_aside(tmp_path, "cp2kdata/e_f") == [(0, "unconverged")]
    (tmp_path / "a.log").write_text(text + cp2k.step(one, forces=False) + "  **** PROGRAM ENDED AT\n")
    (reason,) = read(tmp_path, "cp2kdata/e_f")
    assert isinstance(reason, Unfit)
    assert reason.rule == "no-forces"


def test_a_slab_of_cp2k_without_vacuum_is_set_aside(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    (tmp_path / "a.log").write_text(cp2k.head(one, "ENERGY_FORCE", "XY") + cp2k.step(one, forces=True))
    assert refused(tmp_path, "cp2kdata/e_f").rule == "mixed-periodicity"


def output_of_md(frames: list[Frame], first: int = 0, more: str = "", unconverged: int | None = None) -> str:
    text = cp2k.head(frames[0], "MD")
    for index, one in enumerate(frames, first):
        text += cp2k.step(one, forces=False, converged=index != unconverged)
        text += cp2k.numbered(index) + more if index > first else ""
    return text


def test_steps_of_cp2k_that_did_not_converge(examples: Examples, tmp_path: Path) -> None:
    frames = examples(3, 1, fixed_cell=True)
    cp2k.write_md(tmp_path, frames)
    for unconverged in range(3):
        (tmp_path / "run.log").write_text(output_of_md(frames, unconverged=unconverged))
        expected = ["unconverged" if index == unconverged else None for index in range(3)]
        assert rules(read(tmp_path, "cp2kdata/md")) == expected


def test_files_of_cp2k_that_are_written_every_other_step(examples: Examples, tmp_path: Path) -> None:
    """Positions of steps 10 and 12; forces, energies and the output of 10, 11 and 12."""
    frames = examples(3, 1, fixed_cell=True)
    cp2k.write_md(tmp_path, frames)
    (tmp_path / "run.log").write_text(output_of_md(frames, first=10, unconverged=11))
    for name in ("run-pos-1.xyz", "run-frc-1.xyz"):
        edit(tmp_path / name, r"i = +(\d)", r"i = 1\1")
    edit(tmp_path / "run-1.ener", r"(?m)^ +(\d) ", r" 1\1 ")
    lines = (tmp_path / "run-pos-1.xyz").read_text().splitlines(keepends=True)
    (tmp_path / "run-pos-1.xyz").write_text("".join(lines[:7] + lines[14:]))
    found = good(tmp_path, "cp2kdata/md")
    for one, other in zip(found, (frames[0], frames[2]), strict=True):
        assert one.energy == pytest.approx(other.energy, abs=1e-6)
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-6)
        np.testing.assert_allclose(np.asarray(one.virial), np.asarray(other.virial), atol=1e-5)


def test_forces_of_cp2k_from_the_output(examples: Examples, tmp_path: Path) -> None:
    frames = examples(2, 1, fixed_cell=True)
    cp2k.write_md(tmp_path, frames)
    (tmp_path / "run-frc-1.xyz").unlink()
    (tmp_path / "run-1.ener").unlink()
    steps = cp2k.step(frames[0], forces=True) + cp2k.step(frames[1], forces=True) + cp2k.numbered(1)
    (tmp_path / "run.log").write_text(cp2k.head(frames[0], "MD") + steps)
    for one, other in zip(good(tmp_path, "cp2kdata/md"), frames, strict=True):
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-6)
        assert one.energy == pytest.approx(other.energy, abs=1e-6)


def test_cells_of_cp2k_that_change(examples: Examples, tmp_path: Path) -> None:
    """From the output's lengths and angles where a lies along x, else from the .cell file alone."""
    frames = examples(3, 1)
    cp2k.write_md(tmp_path, frames)
    text = cp2k.head(frames[0], "MD").replace("NVT", "NPT_F")
    for number, one in enumerate(frames):
        assert one.cell is not None
        lengths = np.linalg.norm(one.cell, axis=1)
        a, b, c = one.cell / lengths[:, None]
        angles = np.degrees(np.arccos([b @ c, a @ c, a @ b]))
        text += cp2k.step(one, forces=False)
        if number:
            text += cp2k.numbered(number)
            text += " MD| Cell lengths [bohr]      " + "".join(f"{value / BOHR:16.8E}" for value in lengths) + "\n"
            text += " MD| Cell angles [deg]        " + "".join(f"{value:16.8E}" for value in angles) + "\n"
    (tmp_path / "run.log").write_text(text)
    for one, other in zip(good(tmp_path, "cp2kdata/md"), frames, strict=True):
        np.testing.assert_allclose(np.asarray(one.cell), np.asarray(other.cell), atol=1e-6)
        np.testing.assert_allclose(np.asarray(one.virial), np.asarray(other.virial), atol=1e-5)
    turned = [replace(one, cell=np.asarray(one.cell)[:, [1, 2, 0]]) for one in frames]
    (tmp_path / "run.log").write_text(text.replace(cp2k.head(frames[0], "MD")[:900], cp2k.head(turned[0], "MD")[:900]))
    assert refused(tmp_path, "cp2kdata/md").rule == "no-cell"
    rows = [
        f"{number} 0.0 " + " ".join(f"{x:.10f}" for x in np.ravel(np.asarray(one.cell)))
        for number, one in enumerate(turned)
    ]
    (tmp_path / "run-1.cell").write_text(
        "# Step Time Ax Ay Az Bx By Bz Cx Cy Cz Volume\n" + " 1.0\n".join(rows) + " 1.0\n"
    )
    for one, other in zip(good(tmp_path, "cp2kdata/md"), turned, strict=True):
        np.testing.assert_allclose(np.asarray(one.cell), np.asarray(other.cell), atol=1e-9)


def test_two_runs_of_cp2k_in_one_folder(examples: Examples, tmp_path: Path) -> None:
    cp2k.write_md(tmp_path, examples(2, 1, fixed_cell=True))
    (tmp_path / "run-pos-2.xyz").write_text((tmp_path / "run-pos-1.xyz").read_text())
    unfit = refused(tmp_path, "cp2kdata/md")
    assert (unfit.rule, "run-pos-1.xyz and run-pos-2.xyz" in unfit.args[0]) == ("ambiguous", True)


def test_other_runs_of_cp2k_are_no_single_points(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    (tmp_path / "a.log").write_text(cp2k.head(one, "GEO_OPT") + cp2k.step(one, forces=True))
    unfit = refused(tmp_path, "cp2kdata/e_f")
    assert (unfit.rule, "GEO_OPT" in unfit.args[0]) == ("unsupported", True)


# ABACUS


def test_steps_of_abacus_that_did_not_converge_are_left_out_with_a_word(examples: Examples, tmp_path: Path) -> None:
    frames = examples(3, 1)
    abacus.write_md(tmp_path, frames)
    energy = rf"\n charge density convergence is achieved\n final etot is {frames[1].energy:.12f} eV\n"
    edit(tmp_path / "OUT.ABACUS/running_md.log", re.escape(energy).replace(r"\\n", r"\n"), abacus.UNCONVERGED)
    with pytest.warns(UserWarning, match="Structure 1  are unconverged"):
        found = good(tmp_path, "abacus/md")
    assert [one.energy for one in found] == pytest.approx([frames[0].energy, frames[2].energy])
    assert found[1].virial is not None
    np.testing.assert_allclose(found[1].virial, np.asarray(frames[2].virial), atol=1e-5)


def test_a_relaxation_of_abacus_with_a_step_that_did_not_converge(examples: Examples, tmp_path: Path) -> None:
    """It may print forces of that step; where it does not, those of the next must not be taken for them."""
    frames = examples(3, 1)
    abacus.write_relax(tmp_path, frames)
    log = tmp_path / "OUT.ABACUS/running_cell-relax.log"
    energy = f"\n charge density convergence is achieved\n final etot is {frames[1].energy:.12f} eV\n"
    log.write_text(log.read_text().replace(energy, abacus.UNCONVERGED))
    with pytest.warns(UserWarning, match="1 of 3 steps are unconverged"):
        found = good(tmp_path, "abacus/relax")
    for one, other in zip(found, (frames[0], frames[2]), strict=True):
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-8)
        np.testing.assert_allclose(one.coords, other.coords, atol=1e-6)
    before, after = log.read_text().split(abacus.UNCONVERGED)
    log.write_text(before + abacus.UNCONVERGED + after[after.index("\n DIRECT COORDINATES") :])
    assert refused(tmp_path, "abacus/relax").rule == "unconverged"


def test_an_unconverged_single_point_of_abacus(examples: Examples, tmp_path: Path) -> None:
    abacus.write_scf(tmp_path, examples(1, 1))
    log = tmp_path / "OUT.ABACUS/running_scf.log"
    edit(log, r"\n charge density(.*\n)*", f"{abacus.UNCONVERGED} Total  Time  : 0 h\n")
    assert set_aside(tmp_path, "abacus/scf") == [(None, "unconverged")]


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


# Amber


def test_amber_tells_elements_by_number_not_by_atom_type(examples: Examples, tmp_path: Path) -> None:
    """GAFF's 'ca' and 'os' are carbon and oxygen, not calcium and osmium: the generator writes them."""
    GENERATORS["amber/md"].write(tmp_path, examples(1, 1))
    assert good(tmp_path, "amber/md")[0].symbols == ["O", "H", "H", "Si", "C"]
    edit(tmp_path / "run.parm7", "%FLAG ATOMIC_NUMBER", "%FLAG SOMETHING_ELSE")
    unfit = refused(tmp_path, "amber/md")
    assert (unfit.rule, "ATOMIC_NUMBER" in unfit.args[0]) == ("unknown-element", True)


# DFTB+


def test_dftbplus_with_and_without_a_lattice(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    GENERATORS["dftbplus"].write(tmp_path, [replace(one, cell=None)])
    assert good(tmp_path, "dftbplus")[0].cell is None


def test_dftbplus_that_moved_the_atoms_or_did_not_converge(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["dftbplus"].write(tmp_path, examples(1, 1))
    edit(tmp_path / "detailed.out", "SCC converged", "SCC is NOT converged, maximal SCC iterations exceeded")
    assert rules(read(tmp_path, "dftbplus")) == ["unconverged"]
    edit(tmp_path / "dftb_in.hsd", r"Driver = \{\}", "Driver = ConjugateGradient { MaxSteps = 100 }")
    assert refused(tmp_path, "dftbplus").rule == "unsupported"


# ASE


def atoms(symbols: str, energy: float, **more: Any) -> Atoms:
    made = Atoms(symbols, positions=np.arange(3 * len(Atoms(symbols)), dtype=float).reshape(-1, 3), **more)
    forces = np.full((len(made), 3), 0.5)
    made.calc = SinglePointCalculator(made, energy=energy, forces=forces)
    return made


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


# Mixed periodicity


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
