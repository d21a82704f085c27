"""Extended XYZ as programs really write it."""

import io

import numpy as np
import pytest
from ingest.confined.extxyz import frames
from ingest.confined.judging import Raw, Unfit

LATTICE = 'Lattice="4.0 0.0 0.0 0.0 5.0 0.0 0.0 0.0 6.0"'
ATOMS = "O 0.0 0.0 0.0 0.1 0.2 0.3\nH 0.9 0.0 0.0 -0.1 -0.2 -0.3\n"
PROPERTIES = "Properties=species:S:1:pos:R:3:forces:R:3"


def one(comment: str, atoms: str = ATOMS) -> Raw:
    found = list(frames(io.StringIO(f"2\n{comment}\n{atoms}")))
    assert len(found) == 1
    if isinstance(found[0], Unfit):
        raise found[0]
    return found[0]


def test_the_usual_file() -> None:
    frame = one(f'{LATTICE} {PROPERTIES} energy=-14.5 pbc="T T T"')
    assert frame.symbols == ["O", "H"]
    np.testing.assert_array_equal(frame.cell, np.diag([4.0, 5.0, 6.0]))
    np.testing.assert_array_equal(frame.forces[1], [-0.1, -0.2, -0.3])
    assert (float(frame.energy[0]), frame.virial) == (-14.5, None)


@pytest.mark.parametrize("key", ["energy", "Energy", "REF_energy", "dft_energy", "free_energy"])
@pytest.mark.parametrize("forces", ["forces", "force", "REF_forces", "dft_forces"])
def test_names_of_energy_and_forces(key: str, forces: str) -> None:
    frame = one(f"{LATTICE} Properties=species:S:1:pos:R:3:{forces}:R:3 {key}=-1e1")
    assert frame.energy[0] == -10
    assert frame.forces[0, 2] == 0.3


def test_reference_labels_win_over_a_models_predictions() -> None:
    assert one(f"{LATTICE} {PROPERTIES} energy=1 REF_energy=2").energy[0] == 2


def test_stress_has_ases_sign_and_virial_deepmds() -> None:
    stress = "0.01 0.06 0.05 0.06 0.02 0.04 0.05 0.04 0.03"
    expected = -120.0 * np.array(stress.split(), dtype=float).reshape(3, 3)
    np.testing.assert_allclose(one(f'{LATTICE} {PROPERTIES} energy=0 stress="{stress}"').virial, expected)
    voigt = one(f'{LATTICE} {PROPERTIES} energy=0 stress="0.01 0.02 0.03 0.04 0.05 0.06"').virial
    np.testing.assert_allclose(voigt, expected)
    for written in (f'"{stress}"', "{" + stress + "}", "[[0.01, 0.06, 0.05], [0.06, 0.02, 0.04], [0.05, 0.04, 0.03]]"):
        virial = one(f"{LATTICE} {PROPERTIES} energy=0 virial={written}").virial
        np.testing.assert_allclose(virial, expected / -120)


@pytest.mark.parametrize(("comment", "periodic"), [(LATTICE, True), (f'{LATTICE} pbc="F F F"', False), ("", False)])
def test_periodicity(comment: str, periodic: bool) -> None:
    assert (one(f"{comment} {PROPERTIES} energy=0").cell is not None) == periodic


def test_columns_in_another_order_with_more_of_them() -> None:
    comment = f"{LATTICE} Properties=Z:I:1:magmom:R:1:forces:R:3:pos:R:3 energy=0"
    frame = one(comment, "8 2.0 1 2 3 4 5 6\n1 0.0 7 8 9 10 11 12\n")
    assert frame.symbols == ["O", "H"]
    np.testing.assert_array_equal(frame.forces[1], [7, 8, 9])
    np.testing.assert_array_equal(frame.coords[0], [4, 5, 6])


@pytest.mark.parametrize(
    ("comment", "atoms", "rule"),
    [
        (f"{LATTICE} {PROPERTIES} energy=abc", ATOMS, "not-a-number"),
        (f"{LATTICE} {PROPERTIES} energy=0", ATOMS.replace("0.9", "x.9"), "not-a-number"),
        (f"{LATTICE} {PROPERTIES} energy=0", "O 0 0 0\nH 1 1 1\n", "unreadable"),
        (f'Lattice="1 2 3" {PROPERTIES} energy=0', ATOMS, "wrong-shape"),
        (f"{LATTICE} Properties=species:S:one:pos:R:3 energy=0", ATOMS, "unreadable"),
    ],
)
def test_damage_costs_one_frame_and_has_a_reason(comment: str, atoms: str, rule: str) -> None:
    good = f"2\n{LATTICE} {PROPERTIES} energy=0\n{ATOMS}"
    found = list(frames(io.StringIO(f"{good}2\n{comment}\n{atoms}{good}")))
    assert [type(frame) for frame in found] == [Raw, Unfit, Raw]
    assert isinstance(found[1], Unfit)
    assert found[1].rule == rule


@pytest.mark.parametrize("text", ["2\n", "2\ncomment\n", "2\ncomment\nO 0 0 0\n"])
def test_a_file_that_breaks_off_costs_the_frame_at_its_end(text: str) -> None:
    good = f"2\n{LATTICE} {PROPERTIES} energy=0\n{ATOMS}"
    first, second, last = frames(io.StringIO(f"{good}{good}{text}"))
    assert isinstance(first, Raw)
    assert isinstance(second, Raw)
    assert isinstance(last, Unfit)
    assert (last.rule, last.reason) == ("truncated", "the file ends within frame 2, of 2 atoms")


def test_where_the_next_frame_begins_nobody_can_tell_after_other_text() -> None:
    stream = frames(io.StringIO(f"2\n{LATTICE} {PROPERTIES} energy=0\n{ATOMS}not a number\n"))
    assert isinstance(next(stream), Raw)
    with pytest.raises(Unfit) as unfit:
        next(stream)
    assert unfit.value.rule == "unreadable"


def test_an_absurd_number_of_atoms_takes_no_time() -> None:
    with pytest.raises(Unfit, match="ends within a frame of 1000000000000 atoms"):
        list(frames(io.StringIO(f"1000000000000\n{PROPERTIES}\n{ATOMS}")))


def long(rows: list[str], end: str) -> list[Raw | Unfit]:
    """Two frames, the second with these rows and this end of the file."""
    head = f"{len(rows)}\n{LATTICE} {PROPERTIES} energy=0\n"
    whole = head + "\n".join(rows)
    return list(frames(io.StringIO(whole + "\n" + whole + end), "long.xyz"))


FIXED = ["O 0.00 0.00 0.00 0.12 0.20 0.31", "H 0.90 0.00 0.00 -0.12 -0.20 -0.31"]


@pytest.mark.parametrize("lost", range(1, 5))
@pytest.mark.parametrize("rows", [FIXED, FIXED[:1]])
def test_a_number_that_is_cut_is_not_read(lost: int, rows: list[str]) -> None:
    """Where the copy of a file broke off within the last number, whatever is left of it looks like one."""
    text = f"{len(rows)}\n{LATTICE} {PROPERTIES} energy=0\n" + "\n".join(rows)
    found = list(frames(io.StringIO(f"{text}\n{text[:-lost]}"), "long.xyz"))
    first, last = found
    assert isinstance(first, Raw)
    assert isinstance(last, Unfit)
    assert last.rule in ("truncated", "not-a-number", "unreadable")
    assert last.rule != "truncated" or "long.xyz ends within the last line of frame 1" in last.reason


@pytest.mark.parametrize("rows", [FIXED, FIXED[:1]])
def test_a_last_line_without_its_end_is_read_where_it_is_whole(rows: list[str]) -> None:
    with_end, without = long(rows, "\n")[1], long(rows, "")[1]
    assert isinstance(with_end, Raw)
    assert isinstance(without, Raw)
    np.testing.assert_array_equal(without.forces, with_end.forces)


def test_where_numbers_have_any_length_the_last_line_needs_its_end() -> None:
    rows = ["O 0 0 0 0.1 0.25 0.375", "H 1 0 0 0.1 0.25 0.125"]
    with_end, without = long(rows, "\n")[1], long([*rows[:1], rows[1] + "5"], "")[1]
    assert isinstance(with_end, Raw)
    assert isinstance(without, Unfit)
    assert "add a line end" in without.remedy
