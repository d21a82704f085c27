"""Structures that somebody wants predicted: what is read of each format, and what is refused in which words."""

import io
import json
from contextlib import suppress

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from ingest.confined.structures import Refused, read, run

MOST = 500
SILICON = bulk("Si", "diamond", a=5.43, cubic=True)
WATER = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
POSCAR = "silicon\n1.0\n5.43 0 0\n0 5.43 0\n0 0 5.43\n{symbols}\n{counts}\nDirect\n0 0 0\n0.25 0.25 0.25\n"
CIF = """data_x
_cell_length_a {a}
_cell_length_b 5.43
_cell_length_c 5.43
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""


def written(atoms: Atoms, form: str) -> bytes:
    stream = io.BytesIO() if form == "cif" else io.StringIO()
    write(stream, atoms, format=form)
    text = stream.getvalue()
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize("form", ["vasp", "cif", "extxyz"])
def test_a_crystal_comes_back_from_every_format(form: str) -> None:
    found = read(written(SILICON, form), MOST)
    assert found["symbols"] == ["Si"] * 8
    assert found["cell"] == pytest.approx(SILICON.cell.array, abs=1e-6)
    assert Atoms(found["symbols"], found["positions"]).get_all_distances().max() > 3


def test_a_molecule_has_no_cell() -> None:
    found = read(written(WATER, "xyz"), MOST)
    assert (found["symbols"], found["cell"]) == (["O", "H", "H"], None)
    assert found["positions"][1] == pytest.approx([0.96, 0, 0])


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm() -> None:
    text = b"\xef\xbb\xbf" + written(SILICON, "vasp").replace(b"\n", b"\r\n")
    assert len(read(text, MOST)["symbols"]) == 8


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "There is nothing in it."),
        (b" \n\t\n", "There is nothing in it."),
        (b"\xff\xfe\x00binary", "This is no text file."),
        (b"Dear all,\nplease find our structure attached.\n", "This is no structure in a format that is read here."),
        (b"1\n\nQq 0 0 0\n", "“Qq” is no chemical element."),
        (b"1\n\nX 0 0 0\n", "“X” is no chemical element."),
        (POSCAR.format(symbols="Qq", counts=2).encode(), "“Qq” is no chemical element."),
        (CIF.format(a=5.43, sites="Qq1 Qq 0 0 0 1").encode(), "“Qq” is no chemical element."),
        (CIF.format(a=5.43, sites="Si1 Si 0 0 0 0.5\nC1 C 0 0 0 0.5").encode(), "A site is occupied in part."),
        (CIF.format(a=5.43, sites="Si1 Si 0 0 0 0.7").encode(), "A site is occupied in part."),
        (b"3\n\nSi 0 0 0\n", "It cannot be read as xyz: ase.io.extxyz: Frame has 1 atoms, expected 3"),
        (b"0\n\n", "There are no atoms in it."),
        (b"1\n\nSi nan 0 0\n", "A position or cell vector is no finite number."),
        (b"1\n\nSi 0 0 0\n1\n\nSi 0 0 1\n", "There is more than one structure in it."),
        (
            POSCAR.format(symbols="Si", counts=2).replace("0 0 5.43", "0 0 0").encode(),
            "The cell has no volume: its vectors do not span space.",
        ),
        (b"100000\n\nSi 0 0 0\n", "It has 100,000 atoms, and at most 500 are predicted here."),
        (
            POSCAR.format(symbols="Si C", counts="60000 40000").encode(),
            "It has 100,000 atoms, and at most 500 are predicted here.",
        ),
    ],
)
def test_bad_input_is_refused_in_words(text: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text, MOST)
    assert refused.value.reason == reason
    assert refused.value.remedy.endswith((".", "such as Si."))


def test_what_breaks_off_is_refused_or_smaller_whatever_ase_makes_of_it() -> None:
    for form in ("vasp", "cif"):
        whole = written(SILICON, form)
        for end in range(0, len(whole), 37):
            with suppress(Refused):
                found = read(whole[:end], MOST)
                assert 0 < len(found["symbols"]) <= 8


def test_many_atoms_of_a_cif_are_counted_after_reading() -> None:
    sites = "\n".join(f"Si{n} Si {n / 600:.6f} 0 0 1" for n in range(600))
    with pytest.raises(Refused, match="It has 600 atoms"):
        read(CIF.format(a=2000, sites=sites).encode(), MOST)


def test_the_task_answers_both_ways() -> None:
    for text, member in ((written(WATER, "xyz"), "structure"), (b"", "refused")):
        answer = io.BytesIO()
        run({"max_atoms": MOST}, [io.BytesIO(text)], [answer])
        assert list(json.loads(answer.getvalue())) == [member]
