"""CP2K: periodicity, versions, steps that did not converge, files that are written every so many steps, cells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from frames.frame import Frame
from ingest.confined.judging import Unfit
from outputs import GENERATORS, cp2k
from outputs.units import BOHR, HARTREE, KBAR
from read_outputs import Examples, edit, good, read, refused, rules, set_aside


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
