"""DFTB+: with and without a lattice, moved atoms, unconverged."""

from dataclasses import replace
from pathlib import Path

from outputs import GENERATORS
from read_outputs import Examples, edit, good, read, refused, rules


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
