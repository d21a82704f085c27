"""ORCA, Psi4, SIESTA, OpenMX, n2p2, PWmat, sqm: what of an output is a frame, and why the rest is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames.frame import Frame
from ingest.confined.judging import Raw
from ingest.confined.parsers import molecules, n2p2, openmx, siesta
from outputs import GENERATORS, orca, psi4, pwmat, sqm
from outputs import n2p2 as n2p2_output
from outputs import openmx as openmx_output
from outputs import siesta as siesta_output
from outputs.units import BOHR

Examples = Callable[..., list[Frame]]
Parsed = Callable[[Path, str], list[dict[str, Any]]]


def close(found: Any, expected: Any, atol: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def raws(frames: Any) -> list[Raw]:
    found = list(frames)
    assert all(isinstance(one, Raw) for one in found), found
    return found


def told(end: dict[str, Any]) -> list[tuple[int | None, str]]:
    return [(one["frame"], one["rule"]) for one in end["set_aside"]]


@pytest.mark.parametrize("module", [orca, psi4])
def test_an_energy_after_the_last_gradient_is_of_another_structure(
    module: Any, tmp_path: Path, examples: Examples
) -> None:
    """A relaxation ends with a single point; dpdata joins its positions and energy with the gradient before."""
    first, last = examples(2, 4)
    place = module.positions if module is orca else module.geometry
    text = module.HEADER + place(first) + module.scf(first) + module.gradient(first) + place(last) + module.scf(last)
    path = tmp_path / "run.out"
    path.write_text(text + module.FOOTER)
    (raw,) = raws(molecules.orca([path]) if module is orca else molecules.psi4([path]))
    close(raw.coords, first.coords, 5.1e-7)
    close(raw.energy, first.energy, 1e-9)


@pytest.mark.parametrize(("name", "module"), [("orca/spout", orca), ("psi4/out", psi4)])
def test_unconverged_molecules(name: str, module: Any, tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    first, last = examples(2, 4)
    place = module.positions if module is orca else module.geometry
    good = place(first) + module.scf(first) + module.gradient(first)
    bad = place(last) + module.scf(last, converged=False)
    (tmp_path / "one").mkdir()
    (tmp_path / "one/run.out").write_text(module.HEADER + bad)
    (tmp_path / "two").mkdir()
    (tmp_path / "two/run.out").write_text(module.HEADER + good + bad + module.gradient(last))
    alone, later = parsed(tmp_path, name)
    assert [rule for _, rule in told(alone)] == ["unconverged"]
    assert later["frames"] == 1
    assert told(later) == [(1, "unconverged")]


@pytest.mark.parametrize(
    ("name", "spoil", "rule", "remedy"),
    [
        ("orca/spout", lambda text: text.split("CARTESIAN GRADIENT")[0], "truncated", "finish"),
        ("orca/spout", lambda text: text.replace("CARTESIAN GRADIENT", "NOTHING"), "no-forces", "EnGrad"),
        ("orca/spout", lambda text: text.replace("FINAL SINGLE", "SINGLE"), "no-energy", "energy"),
        ("orca/spout", lambda text: text.replace(" :    ", " :  nan "), "not-finite", "numbers"),
        ("psi4/out", lambda text: text.replace("## Total Gradient", "Nothing"), "no-forces", "gradient("),
        ("psi4/out", lambda text: text.split("Total Gradient")[0], "truncated", "finish"),
        ("psi4/out", lambda text: text.replace("(in Angstrom)", "(in Furlong)"), "unreadable", "Angstrom"),
        ("psi4/out", lambda text: text.replace("  ## Total", "   DF-MP2  \n  ## Total"), "unreadable", "energy"),
        ("sqm/out", lambda text: text.replace("QMMM: Forces on", "Nothing"), "no-forces", "verbosity"),
        ("sqm/out", lambda text: text.split(" Final Structure")[0], "truncated", "finish"),
        ("siesta/output", lambda text: text.replace("siesta: Atomic forces", "Nothing"), "no-forces", "WriteForces"),
        ("siesta/output", lambda text: text.replace("outcell", "nothing"), "incomplete", "WriteCoorStep"),
        ("siesta/output", lambda text: text.replace("(Ang):\n  ", "(inch):\n  "), "unreadable", "WriteCoorStep"),
        ("siesta/output", lambda text: text.split("siesta: E_KS")[0], "truncated", "finish"),
        ("siesta/output", lambda text: text.replace("Atomic number:", "Label"), "unknown-element", "WriteCoorStep"),
        ("pwmat/movement", lambda text: text[: text.index(" Force")], "no-forces", "forces"),
        ("pwmat/movement", lambda text: text[: text.index(" Force") - 160], "truncated", "finish"),
        ("pwmat/movement", lambda text: text.replace("   8    ", " 999    "), "unknown-element", "MOVEMENT"),
        ("n2p2", lambda text: text[:-10], "truncated", "begin and end"),
        ("n2p2", lambda text: text.replace("energy", "nothing"), "no-energy", "energy"),
        ("n2p2", lambda text: text.replace("lattice", "comment", 1), "bad-cell", "lattice"),
        ("openmx/md", lambda text: text.replace("scf_conv=1", "scf_conv=0"), "unconverged", "converges"),
        ("openmx/md", lambda text: text[: len(text) // 2], "truncated", "finish"),
        ("openmx/md", lambda text: text.replace("Cell_Vectors", "Nothing"), "incomplete", "time="),
    ],
)  # fmt: skip
def test_what_does_not_join(
    name: str, spoil: Callable[[str], str], rule: str, remedy: str, tmp_path: Path, examples: Examples, parsed: Parsed
) -> None:
    folder = tmp_path / "计算 one"
    folder.mkdir()
    GENERATORS[name].write(folder, examples(1, 4))
    path = next(one for one in folder.iterdir() if one.suffix != ".dat" or name == "psi4/out")
    text = path.read_text()
    path.write_text(spoil(text))
    assert path.read_text() != text
    (end,) = parsed(tmp_path, name)
    assert end["frames"] == 0
    assert end["set_aside"][0]["rule"] == rule
    assert remedy in end["set_aside"][0]["remedy"]


def test_siesta_dynamics_with_an_unconverged_step(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    steps = examples(3, 4)
    text = siesta_output.header(steps[0], "Verlet")
    for number, frame in enumerate(steps):
        text += siesta_output.structure(frame) + siesta_output.energy(frame, converged=number != 1)
        text += siesta_output.labels(frame, "") if number != 1 else ""
    (tmp_path / "siesta.out").write_text(text)
    (end,) = parsed(tmp_path, "siesta/aimd_output")
    assert end["frames"] == 2
    assert told(end) == [(1, "unconverged")]


def test_siesta_without_the_positions_of_each_step(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    """The labels of later steps must not be joined with the first structure."""
    steps = examples(3, 4)
    text = siesta_output.header(steps[0], "Verlet") + siesta_output.structure(steps[0])
    text += "".join(siesta_output.energy(frame) + siesta_output.labels(frame, "") for frame in steps)
    (tmp_path / "siesta.out").write_text(text)
    (end,) = parsed(tmp_path, "siesta/aimd_output")
    assert end["frames"] == 0
    assert end["set_aside"][0]["rule"] == "incomplete"
    assert "WriteCoorStep" in end["set_aside"][0]["remedy"]


def test_siesta_prints_positions_in_bohr_before_the_first_step(tmp_path: Path, examples: Examples) -> None:
    """Without WriteCoorInitial there is only this table."""
    (frame,) = examples(1, 4)
    kinds = list(dict.fromkeys(frame.symbols))
    table = "siesta: Atomic coordinates (Bohr) and species\n" + "".join(
        f"siesta: {''.join(f'{x:11.5f}' for x in place / BOHR)}{kinds.index(symbol) + 1:3d}{number:9d}\n"
        for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords, strict=True), 1)
    )
    cell = "outcell" + siesta_output.structure(frame).split("outcell")[1]
    text = siesta_output.header(frame, "CG") + table + cell + siesta_output.energy(frame)
    (tmp_path / "siesta.out").write_text(text + siesta_output.labels(frame, "siesta: "))
    (raw,) = raws(siesta.frames([tmp_path / "siesta.out"]))
    close(raw.coords, frame.coords, 3e-6)
    close(raw.virial, frame.virial, 1.5e-4)


def test_siesta_virial_has_the_sign_of_its_pressure(tmp_path: Path, examples: Examples) -> None:
    (frame,) = examples(1, 4)
    assert frame.virial is not None
    squeezed = replace(frame, virial=np.diag([4.0, 5.0, 6.0]))
    siesta_output.write_single(tmp_path, [squeezed])
    text = (tmp_path / "siesta.out").read_text()
    assert float(text.split("siesta: Pressure (static):")[1].split()[0]) > 0
    (raw,) = raws(siesta.frames([tmp_path / "siesta.out"]))
    assert np.trace(raw.virial) > 0


def test_openmx_tells_which_step_did_not_converge(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    """dpdata warns and keeps it."""
    steps = examples(3, 4)
    (tmp_path / "run.dat").write_text(openmx_output.dat(steps[0]))
    text = [openmx_output.step(number, frame, converged=number != 1) for number, frame in enumerate(steps)]
    (tmp_path / "run.md").write_text("".join(text))
    (end,) = parsed(tmp_path, "openmx/md")
    assert end["frames"] == 2
    assert told(end) == [(1, "unconverged")]


def test_openmx_of_an_older_version_does_not_tell(tmp_path: Path, examples: Examples) -> None:
    openmx_output.write(tmp_path, examples(1, 4))
    path = tmp_path / "run.md"
    path.write_text(path.read_text().replace(" scf_conv=1", ""))
    (raw,) = raws(openmx.frames([tmp_path / "run"]))
    assert raw.converged is None


def test_n2p2_of_many_compositions(tmp_path: Path, examples: Examples) -> None:
    """The usual case for a training set; dpdata wants the same atoms in each, and a cell."""
    first, second = examples(2, 4)
    molecule = Frame(second.numbers[:3], second.coords[:3], None, second.energy, second.forces[:3])
    n2p2_output.write(tmp_path, [first, molecule, second])
    found = raws(n2p2.frames([tmp_path / "input.data"]))
    assert [len(raw.symbols) for raw in found] == [5, 3, 5]
    assert found[1].cell is None
    close(found[1].energy, molecule.energy, 2e-9)
    close(found[1].forces, molecule.forces, 3e-9)


def test_pwmat_step_at_the_limit(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    """The file does not say whether it converged: at PWmat's limit it did not; below it, it is not known."""
    steps = examples(3, 4)
    text = [pwmat.step(number, frame, 100 if number == 1 else 14) for number, frame in enumerate(steps)]
    (tmp_path / "MOVEMENT").write_text("".join(text))
    (end,) = parsed(tmp_path, "pwmat/movement")
    assert end["frames"] == 2
    assert told(end) == [(1, "unconverged")]


def test_sqm_units(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    (frame,) = examples(1, 4)
    (tmp_path / "sqm.out").write_text(sqm.output(frame, forces=False))
    (end,) = parsed(tmp_path, "sqm/out")
    assert told(end) == [(None, "no-forces")]
