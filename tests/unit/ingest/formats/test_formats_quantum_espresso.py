"""pw.x and cp.x: inputs as people write them, relaxations, and what does not join."""

from collections.abc import Callable
from math import cos, radians, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames.frame import FloatArray, Frame
from ingest.confined.judging import Raw, Unfit, atomic_numbers
from ingest.confined.judging import frame as judged
from ingest.confined.parsers import cp, pw, pw_input
from ingest.confined.parsers.bravais import bravais
from outputs import quantum_espresso as qe
from outputs.units import BOHR, RYDBERG

Examples = Callable[..., list[Frame]]
Parsed = Callable[[Path, str], list[dict[str, Any]]]


def close(found: Any, expected: Any, rtol: float = 0, atol: float = 0) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def write(folder: Path, given: str, output: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "scf.in", folder / "scf.out"]
    for path, text in zip(files, (given, output), strict=True):
        path.write_text(text)
    return files


def only(files: list[Path]) -> Raw:
    (raw,) = pw.frames(files)
    assert isinstance(raw, Raw), raw.reason
    return raw


@pytest.mark.parametrize(
    "given",
    [
        "&system ibrav=0, nat=2, ntyp=1, ecutwfc=30 /\n",
        "&SYSTEM\n  ibrav = 0\n  nat = 2 ! atoms, not 3\n  ntyp = 1\n/\n",
        "&control title='a/b, nat=9' /\n&system ntyp=1 nat=2,ibrav=0\n&end\n",
        "&system ibrav=0, nat=2, ntyp=1, a=2.0 /\n",
        "&system ibrav=0, nat=2, ntyp=1, celldm(1)=3.7794522492515403 /\n",
    ],
)
@pytest.mark.parametrize(
    ("cell", "positions"),
    [
        (
            "CELL_PARAMETERS angstrom\n 4 0 0\n 0 5 0\n 0 0 6\n",
            "ATOMIC_POSITIONS {crystal}\n Si 0 0 0\n Si 1/2 0.5 5d-1\n",
        ),
        (
            "cell_parameters (Angstrom)\n4 0 0\n\n0 5 0 ! b\n0 0 6",
            "atomic_positions (angstrom)\n# sites\nSi 0 0 0\nSi 2 2.5 3 0 0 1\n",
        ),
        (
            "CELL_PARAMETERS{bohr}\n7.558904498503081 0 0\n0 9.44863062312885 0\n0 0 11.338356747754620",
            "ATOMIC_POSITIONS{ bohr }\nSi 0 0 0\nSi 3.7794522492515403 4.724315311564425 5.66917837387731\n",
        ),
    ],
)  # fmt: skip
def test_the_same_input_in_many_ways(given: str, cell: str, positions: str) -> None:
    text = f"{given}ATOMIC_SPECIES\n Si 28.085 Si.UPF\nK_POINTS gamma\n{positions}{cell}\n"
    read = pw_input.parse(text)
    assert read.symbols == ["Si", "Si"]
    close(read.cell, np.diag([4, 5, 6]), atol=1e-12)
    close(read.coords, [[0, 0, 0], [2, 2.5, 3]], atol=1e-12)


def same(text: str) -> bool:
    """Whether an input is read alike as one of many; True also means that it could be."""
    given, coords = pw_input.with_coords(text)
    alone = pw_input.parse(text)
    assert given.symbols == alone.symbols
    np.testing.assert_array_equal(given.cell, alone.cell)
    np.testing.assert_array_equal(coords, alone.coords)
    again, _ = pw_input.with_coords(text)
    return given is again


_HEAD = (
    "&system ibrav=0, nat=2, ntyp=1 /\nATOMIC_SPECIES\n Si 28.085 Si.UPF\n"
    "CELL_PARAMETERS angstrom\n4 0 0\n0 5 0\n0 0 6\n"
)
_SITES = "ATOMIC_POSITIONS crystal\nSi 0.1 0.2 0.3\nSi 0.6 0.7 0.8 0 0 1\n"


@pytest.mark.parametrize(
    "text",
    [
        _HEAD + _SITES,
        _HEAD + _SITES + "K_POINTS gamma\n",
        _HEAD + _SITES.removesuffix("\n"),
        _HEAD.replace("nat=2", "nat=1") + _SITES,
    ],
)
def test_inputs_that_differ_in_positions_alone_are_read_as_each_alone(text: str) -> None:
    assert same(text)
    for old, new in (("0.1", "-0.35"), ("0.8", "1.25"), ("crystal", "bohr"), ("Si 0.1", "Ge 0.1"), ("4 0 0", "4 1 0")):
        assert old in text
        assert same(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Si 0.1 0.2 0.3", "# Si 0.4 0.4 0.4\nSi 0.1 0.2 0.3"),
        ("Si 0.1 0.2 0.3", "\nSi 0.1 0.2 0.3"),
        ("Si 0.1 0.2 0.3", "Si 1/2 0.2 3d-1"),
        ("ATOMIC_POSITIONS", " atomic_positions"),
        ("ATOMIC_POSITIONS", " ATOMIC_POSITIONS crystal\nSi 0.5 0.5 0.5\nSi 0.2 0.2 0.2\nATOMIC_POSITIONS"),
    ],
)
def test_positions_that_are_not_that_simple_are_read_slowly(old: str, new: str) -> None:
    assert same(_HEAD + _SITES)
    assert not same((_HEAD + _SITES).replace(old, new, 1))


def test_an_input_that_lacks_rows_is_refused_after_many_that_do_not() -> None:
    text = _HEAD + _SITES
    assert same(text)
    with pytest.raises(Unfit, match="1 rows where nat = 2"):
        pw_input.with_coords(text[: text.rindex("Si")])
    with pytest.raises(Unfit, match="fewer than 3 numbers"):
        pw_input.with_coords(text.replace("0.6 0.7 0.8 0 0 1", "0.6 0.7"))


def test_lengths_in_alat() -> None:
    given = "&system ibrav=0 nat=1 ntyp=1 celldm(1)=10.0 /\nCELL_PARAMETERS alat\n1 0 0\n0 1 0\n0 0 2\n"
    read = pw_input.parse(given + "ATOMIC_POSITIONS\nH 0.1 0.2 0.3\n")
    close(read.cell, np.diag([1, 1, 2]) * 10 * BOHR, rtol=1e-12)
    close(read.coords, [[BOHR, 2 * BOHR, 3 * BOHR]], rtol=1e-12)


# ibrav: lattice points in the conventional cell, and whether its angles are bc, ac, ab or right.
_CENTRED = {
    1: 1, 2: 4, 3: 2, -3: 2, 4: 1, 6: 1, 7: 2, 8: 1, 9: 2, -9: 2, 91: 2, 10: 4, 11: 2, 12: 1, -12: 1, 13: 2, -13: 2,
    14: 1,
}  # fmt: skip
_ANGLES = {4: (90, 90, 120), 12: (90, 90, 73), 13: (90, 90, 73), -12: (90, 81, 90), -13: (90, 81, 90), 14: (65, 81, 73)}


@pytest.mark.parametrize("number", _CENTRED)
def test_bravais_lattices(number: int) -> None:
    """The conventional cell, from lengths and angles, is a supercell of the primitive one with so many points."""
    b, c = (1.0, 1.0) if number in (1, 2, 3, -3) else (1.0, 1.7) if number in (4, 6, 7) else (1.3, 1.7)
    angles = _ANGLES.get(number, (90, 90, 90))
    cosines = tuple(cos(radians(angle)) for angle in angles)
    primitive = bravais(number, b, c, (cosines[0], cosines[1], cosines[2]))
    assert np.linalg.det(primitive) > 0
    points = conventional(b, c, cosines) @ np.linalg.inv(primitive)
    close(points, np.round(points), atol=1e-12)
    assert round(abs(np.linalg.det(points))) == _CENTRED[number]


def conventional(b: float, c: float, cosines: tuple[float, ...]) -> FloatArray:
    bc, ac, ab = cosines
    y = (bc - ac * ab) / sqrt(1 - ab**2)
    return np.array([[1, 0, 0], [b * ab, b * sqrt(1 - ab**2), 0], [c * ac, c * y, c * sqrt(1 - ac**2 - y**2)]])


@pytest.mark.parametrize("number", [5, -5])
def test_rhombohedral_lattices(number: int) -> None:
    lattice = bravais(number, 0, 0, (0.3, 0.3, 0.3))
    close(lattice @ lattice.T, np.full((3, 3), 0.3) + 0.7 * np.eye(3), atol=1e-12)
    assert np.linalg.det(lattice) > 0


def test_a_lattice_by_number_in_a_whole_run(tmp_path: Path, examples: Examples) -> None:
    frame = examples(1, 3)[0]
    cell = bravais(14, 5.3 / 6.1, 7.2 / 6.1, (0.2, -0.1, 0.1)) * 6.1
    frame = Frame(frame.numbers, frame.coords, cell, frame.energy, frame.forces, frame.virial)
    system = "ibrav=14, A=6.1, B=5.3, C=7.2, cosBC=0.2, cosAC=-0.1, cosAB=0.1, nat={nat}, ntyp={ntyp}"
    given = qe.pw_input(frame, system).split("CELL_PARAMETERS")[0]
    given += "ATOMIC_POSITIONS angstrom\n" + qe.positions(frame)
    raw = only(write(tmp_path, given, qe.pw_output([frame])))
    close(raw.cell, cell, atol=1e-9)
    close(raw.virial, frame.virial, atol=8e-4)


def test_a_left_handed_cell(tmp_path: Path, examples: Examples) -> None:
    """Legal in pw.x; dpdata stops at an assertion, and its virial would have the other sign."""
    frame = examples(1, 3)[0]
    assert frame.cell is not None
    turned = Frame(frame.numbers, frame.coords, frame.cell[[0, 2, 1]], frame.energy, frame.forces, frame.virial)
    given, output = qe.pw_input(turned), qe.pw_output([frame])
    axes = qe.pw_header(turned).split("crystal axes")[1].split("Cartesian")[0]
    output = output.replace(output.split("crystal axes")[1].split("Cartesian")[0], axes)
    raw = only(write(tmp_path, given, output))
    kept = judged(raw, atomic_numbers(raw.symbols), 0)
    close(kept.cell, frame.cell, atol=1e-9)
    close(kept.virial, frame.virial, atol=8e-4)


def test_relaxation_with_an_unconverged_step(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    """Each step has its own positions, energy and forces; the one that did not converge is told by its number."""
    steps = examples(4, 1, fixed_cell=True)
    text = qe.pw_header(steps[0]) + qe.pw_step(steps[0])
    for number, frame in enumerate(steps[1:], 1):
        unit = "ATOMIC_POSITIONS (crystal)\n" if number == 3 else "ATOMIC_POSITIONS (angstrom)\n"
        assert frame.cell is not None
        places = frame.coords @ np.linalg.inv(frame.cell) if number == 3 else frame.coords
        moved = Frame(frame.numbers, places, frame.cell, 0.0, frame.forces)
        text += f"{unit}{qe.positions(moved)}\n\n" + qe.pw_step(frame, converged=number != 2)
    files = write(tmp_path, qe.pw_input(steps[0]), text)
    frames = list(pw.frames(files))
    assert [isinstance(one, Raw) for one in frames] == [True, True, False, True]
    for number in (0, 1, 3):
        raw = frames[number]
        assert isinstance(raw, Raw)
        close(raw.coords, steps[number].coords, atol=2e-9)
        assert abs(raw.energy - steps[number].energy) < 1e-7
        assert raw.converged is True
    (end,) = parsed(tmp_path, "qe/pw/scf")
    assert (end["frames"], end["frames_failed"], end["failed"]) == (3, 1, False)
    assert [(one["frame"], one["rule"]) for one in end["set_aside"]] == [(2, "unconverged")]


def test_an_exchange_loop_takes_the_energy_before_the_forces(tmp_path: Path, examples: Examples) -> None:
    """Hybrid functionals: several self-consistencies, the last with the energy of all ('!!')."""
    frame = examples(1, 3)[0]
    inner = qe.pw_step(frame).split("     Forces acting")[0]
    last = qe.pw_step(frame)
    total = f"!!   total energy              = {frame.energy / RYDBERG - 1:16.8f} Ry\n"
    last = last.replace("\n     Forces acting", f"\n{total}\n     Forces acting")
    files = write(tmp_path, qe.pw_input(frame), qe.pw_header(frame) + inner + last)
    assert abs(only(files).energy - (frame.energy - RYDBERG)) < 1e-7


@pytest.mark.parametrize(
    ("spoil", "rule", "words"),
    [
        (lambda given, output: (given.replace("O  ", "S  "), output), "wrong-input-file", "elements"),
        (lambda given, output: (given.replace("nat=5", "nat=4"), output), "wrong-input-file", "4 atoms in the input"),
        (lambda given, output: (given.replace(" 6.1000", " 6.2000"), output), "wrong-input-file", "cells"),
        (lambda given, output: (given.replace("H   ", "H  1 "), output), "wrong-input-file", "positions"),
        (lambda given, output: (given.replace("nat=5,", ""), output), "input-unreadable", "nat"),
        (lambda given, output: (given.replace("angstrom", "furlong"), output), "input-unreadable", "furlong"),
        (lambda given, output: (given.split("ATOMIC_POS")[0], output), "input-unreadable", "ATOMIC_POSITIONS"),
        (lambda given, output: (given.replace("ibrav=0", "ibrav=77"), output), "input-unreadable", "celldm(1) or A"),
        (lambda given, output: (given.replace("ibrav=0", "ibrav=77, a=3"), output), "input-unreadable", "ibrav = 77"),
        (lambda given, output: (given, output[: output.index("atom    4 type")]), "truncated", "within the forces"),
        (lambda given, output: (given, output[: output.index("\n", output.index("atom    5"))]), "truncated", "forces"),
        (lambda given, output: (given, output[: output.index("!    total")]), "truncated", "JOB DONE"),
        (lambda given, output: (given, output.replace("Forces acting on", "")), "no-forces", "no forces"),
        (lambda given, output: (given, output.replace("force =", "force = ****")), "not-a-number", "forces"),
        (lambda given, output: (given, output.replace("!    total", "     total")), "no-energy", "no total energy"),
    ],
)  # fmt: skip
def test_what_does_not_join(
    spoil: Callable[[str, str], tuple[str, str]],
    rule: str,
    words: str,
    tmp_path: Path,
    examples: Examples,
    parsed: Parsed,
) -> None:
    frame = examples(1, 3)[0]
    write(tmp_path / "计算 1", *spoil(qe.pw_input(frame), qe.pw_output([frame])))
    (end,) = parsed(tmp_path, "qe/pw/scf")
    assert end["frames"] == 0
    (entry,) = end["set_aside"]
    assert entry["rule"] == rule
    assert words in entry["reason"]
    assert entry["remedy"]


def test_a_stress_that_is_cut_is_none(tmp_path: Path, examples: Examples) -> None:
    frame = examples(1, 3)[0]
    output = qe.pw_output([frame])
    rows = output.index("total   stress")
    last = output.index("\n", output.index("\n", output.index("\n", output.index("\n", rows) + 1) + 1) + 1)
    assert only(write(tmp_path, qe.pw_input(frame), output[: last + 1])).virial is not None
    assert only(write(tmp_path, qe.pw_input(frame), output[: last - 2])).virial is None


def test_an_output_without_its_input(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    write(tmp_path, "not an input", qe.pw_output(examples(1, 3)))
    (end,) = parsed(tmp_path, "qe/pw/scf")
    assert end["set_aside"][0]["rule"] == "no-input-file"
    assert "scf.in next to scf.out" in end["set_aside"][0]["remedy"]


def test_unconverged_single_point(tmp_path: Path, examples: Examples, parsed: Parsed) -> None:
    """dpdata ends in an IndexError."""
    (frame,) = examples(1, 3)
    write(tmp_path, qe.pw_input(frame), qe.pw_header(frame) + qe.pw_step(frame, converged=False))
    (end,) = parsed(tmp_path, "qe/pw/scf")
    assert [(one["frame"], one["rule"]) for one in end["set_aside"]] == [(0, "unconverged")]


def test_cp_takes_the_energy_by_its_name(tmp_path: Path, examples: Examples) -> None:
    """Old versions have another column before it."""
    frames = examples(2, 3)
    qe.write_cp(tmp_path, frames)
    evp = (tmp_path / "run.evp").read_text().splitlines()
    old = ["# nfi ekinc temphc tempp etot enthal"]
    for line in evp[1:]:
        step, _, ekinc, heat, ions, etot, enthalpy = line.split()
        old.append(" ".join((step, ekinc, heat, ions, etot, enthalpy)))
    (tmp_path / "run.evp").write_text("\n".join(old))
    raws = list(cp.frames([tmp_path / "run"]))
    for raw, frame in zip(raws, frames, strict=True):
        assert isinstance(raw, Raw)
        assert abs(raw.energy - frame.energy) < 1e-8


@pytest.mark.parametrize(
    ("file", "spoil", "rule", "words"),
    [
        ("run.for", lambda text: None, "no-forces", "run.for"),
        ("run.evp", lambda text: None, "no-output-file", "run.evp"),
        ("run.for", lambda text: text[: len(text) // 2], "truncated", "run.for"),
        ("run.for", lambda text: text.replace("        20 ", "        30 "), "incomplete", "step 20"),
        ("run.evp", lambda text: text.replace("       20 ", "       21 "), "no-energy", "step 20"),
        ("run.pos", lambda text: text.replace("E+0", "E+x"), "not-a-number", "run.pos"),
    ],
)
def test_cp_files_that_do_not_belong_together(
    file: str,
    spoil: Callable[[str], str | None],
    rule: str,
    words: str,
    tmp_path: Path,
    examples: Examples,
    parsed: Parsed,
) -> None:
    qe.write_cp(tmp_path, examples(3, 3))
    text = spoil((tmp_path / file).read_text())
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_text(text)
    (end,) = parsed(tmp_path, "qe/cp/traj")
    assert end["set_aside"][0]["rule"] == rule
    assert words in end["set_aside"][0]["reason"]


def test_cp_without_a_moving_cell_takes_that_of_the_input(tmp_path: Path, examples: Examples) -> None:
    frames = examples(2, 3, fixed_cell=True)
    qe.write_cp(tmp_path, frames)
    (tmp_path / "run.cel").unlink()
    for raw, frame in zip(cp.frames([tmp_path / "run"]), frames, strict=True):
        assert not isinstance(raw, Unfit)
        close(raw.cell, frame.cell, atol=1e-9)
