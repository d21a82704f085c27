"""ABACUS: steps that did not converge are left out with a word, and no other step's labels are taken for theirs."""

import re
from pathlib import Path

import numpy as np
import pytest
from outputs import abacus
from read_outputs import Examples, edit, good, refused, set_aside


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
