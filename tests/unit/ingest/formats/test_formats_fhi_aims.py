"""FHI-aims: which structure belongs to which forces, fractional places, steps that did not converge."""

from pathlib import Path

import numpy as np
from outputs import fhi_aims
from read_outputs import Examples, edit, good, read, rules, set_aside


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
