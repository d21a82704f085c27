"""Gaussian: energies of another method, steps and jobs that did not converge, molecules."""

from dataclasses import replace
from pathlib import Path

from outputs import GENERATORS, gaussian
from read_outputs import Examples, edit, good, read, refused, rules, set_aside


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
