"""OUTCAR and vasprun.xml: convergence step by step, interrupted runs, large files."""

import tracemalloc
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames.frame import Frame
from hypothesis import given
from hypothesis import strategies as st
from ingest.confined import theory
from ingest.confined.judging import Raw, Unfit
from ingest.confined.parsers import columns, outcar, vasprun
from outputs import vasp

Examples = Callable[..., list[Frame]]
Parsed = Callable[[Path, str], list[dict[str, Any]]]
NOT_REACHED = "EDIFF was not reached (unconverged)"


def close(found: Any, expected: Any, rtol: float = 0, atol: float = 0) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.fixture
def steps(examples: Examples) -> list[Frame]:
    return examples(3, 5)


def write(folder: Path, steps: list[Frame], *texts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "OUTCAR").write_text(vasp.header(steps[0]) + "".join(texts) + vasp.FOOTER)


def told(end: dict[str, Any]) -> list[tuple[int | None, str]]:
    return [(one["frame"], one["rule"]) for one in end["set_aside"]]


@pytest.mark.parametrize(
    ("iterations", "reached", "kept"),
    [
        (10, "EDIFF is reached", True),
        (vasp.NELM, "EDIFF is reached", True),
        (vasp.NELM, NOT_REACHED, False),
        (10, NOT_REACHED, False),
        (vasp.NELM, "", False),
        (vasp.NELM - 1, "", True),
    ],
)
def test_convergence_of_each_ionic_step(
    iterations: int, reached: str, kept: bool, steps: list[Frame], tmp_path: Path, parsed: Parsed
) -> None:
    """What OUTCAR says counts first; where it says nothing, whether all of NELM iterations were used."""
    middle = vasp.step(2, steps[1], iterations, reached)
    write(tmp_path, steps, vasp.step(1, steps[0]), middle, vasp.step(3, steps[2]))
    (end,) = parsed(tmp_path, "vasp/outcar")
    assert end["frames"] == 2 + kept
    assert told(end) == ([] if kept else [(1, "unconverged")])


def test_the_output_does_not_tell(steps: list[Frame], tmp_path: Path) -> None:
    text = vasp.step(1, steps[0], 0, "")
    write(tmp_path, steps, text)
    (raw,) = outcar.frames([tmp_path / "OUTCAR"])
    assert isinstance(raw, Raw)
    assert raw.converged is None


def test_steps_of_a_machine_learned_field_are_no_labels(steps: list[Frame], tmp_path: Path) -> None:
    """They come between ab initio steps, with tables of their own; dpdata joins their cells with the next step's."""
    learned = vasp.step(2, steps[1], 0, "").replace("TOTAL-FORCE (eV/Angst)", "TOTAL-FORCE (eV/Angst) (ML)")
    learned = learned.replace("free  energy   TOTEN", "free  energy ML TOTEN")
    write(tmp_path, steps, vasp.step(1, steps[0]), learned, vasp.step(3, steps[2]))
    frames = list(outcar.frames([tmp_path / "OUTCAR"]))
    assert len(frames) == 2
    for raw, frame in zip(frames, (steps[0], steps[2]), strict=True):
        assert isinstance(raw, Raw)
        close(raw.cell, frame.cell, atol=1e-8)
        close(raw.forces, frame.forces, atol=5.1e-7)


@pytest.mark.parametrize(
    ("cut", "rule", "words"),
    [
        ("    total drift", "truncated", "before the energy"),
        ("  free  energy   TOTEN", "truncated", "before the energy"),
        (" eV\n\n  energy  without entropy= ", "truncated", "within the energy"),
    ],
)
def test_a_run_that_was_cut_short(
    cut: str, rule: str, words: str, steps: list[Frame], tmp_path: Path, parsed: Parsed
) -> None:
    """What was complete stands; the rest is told with the number of its frame."""
    text = vasp.header(steps[0]) + vasp.step(1, steps[0]) + vasp.step(2, steps[1])
    (tmp_path / "OUTCAR").write_text(text[: text.rindex(cut)])
    (end,) = parsed(tmp_path, "vasp/outcar")
    assert end["frames"] == 1
    assert told(end) == [(1, rule)]
    assert words in end["set_aside"][0]["reason"]


def test_a_table_that_was_interrupted(steps: list[Frame], tmp_path: Path, parsed: Parsed) -> None:
    broken = vasp.step(2, steps[1])
    start = broken.index("TOTAL-FORCE")
    rows = broken[start:].split("\n")
    broken = broken[:start] + "\n".join([*rows[:4], rows[5][:30], *rows[8:]])
    write(tmp_path, steps, vasp.step(1, steps[0]), broken, vasp.step(3, steps[2]))
    (end,) = parsed(tmp_path, "vasp/outcar")
    assert end["frames"] == 2
    assert told(end) == [(1, "incomplete")]
    assert "2 of 5 rows of forces" in end["set_aside"][0]["reason"]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda text: text.replace("TOTAL-FORCE", "NOTHING"), "no-forces"),
        (lambda text: text.replace("VOLUME and BASIS", "VOLUME"), "incomplete"),
        (lambda text: text.replace("  in kB  ", "  in kB *"), "not-a-number"),
        (lambda text: text.replace("ions per type", "ions"), "unreadable"),
        (lambda text: text.split(" POSCAR:")[0], "truncated"),
        (lambda text: "", "truncated"),
    ],
)
def test_what_does_not_join(
    spoil: Callable[[str], str], rule: str, steps: list[Frame], tmp_path: Path, parsed: Parsed
) -> None:
    (tmp_path / "OUTCAR").write_text(spoil(vasp.header(steps[0]) + vasp.step(1, steps[0]) + vasp.FOOTER))
    (end,) = parsed(tmp_path, "vasp/outcar")
    assert end["frames"] == 0
    assert end["set_aside"][0]["rule"] == rule
    assert end["set_aside"][0]["remedy"]


def test_numbers_that_touch(steps: list[Frame], tmp_path: Path) -> None:
    """Columns of a fixed width run into each other where a number is long and negative."""
    frame = steps[0]
    cell = np.diag([1000.0, 900, 800]) + np.array([[0, -100, -200], [0, 0, -300], [0, 0, 0.0]])
    places = np.array([[-12345.5, -99999.25, 3], *frame.coords[1:]])
    assert frame.virial is not None
    wide = Frame(frame.numbers, places, cell, frame.energy, frame.forces, frame.virial)
    write(tmp_path, [wide], vasp.step(1, wide))
    (raw,) = outcar.frames([tmp_path / "OUTCAR"])
    assert isinstance(raw, Raw)
    # Turned into other axes: lengths and angles stay.
    close(raw.cell @ raw.cell.T, cell @ cell.T, rtol=1e-9)
    close(raw.coords @ raw.coords.T, places @ places.T, rtol=1e-6, atol=1e-2)


def test_memory_does_not_grow_with_the_file(steps: list[Frame], tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1000):
        with (tmp_path / "OUTCAR").open("w") as file:
            file.writelines(vasp.outcar(islice(cycle(steps), count)))
        tracemalloc.start()
        assert sum(1 for _ in outcar.frames([tmp_path / "OUTCAR"])) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "OUTCAR").stat().st_size > 15 << 20
    assert peaks[1] < 1.3 * peaks[0] + (1 << 22)


DECIMALS = st.integers(-(10**11), 10**11)


@given(st.lists(st.tuples(DECIMALS, DECIMALS, DECIMALS), min_size=1, max_size=9))
def test_a_table_at_once_has_the_bits_of_one_number_at_a_time(rows: list[tuple[int, int, int]]) -> None:
    text = "".join(f"{a / 10**5:16.5f}{b / 10**6:18.6f}   {c / 10**9:14.9f}\n" for a, b, c in rows).encode()
    values = columns.table(text, len(rows), 3)
    if values is None:
        # Numbers touch: there is no telling columns from the first row.
        assert len(text.split()) != 3 * len(rows)
        return
    expected = np.array(text.split(), dtype=np.float64).reshape(-1, 3)
    assert values.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "text",
    [b"1.0 2.0\n3.00 4.0\n", b"1.0 2.0\n1e5 4.0\n", b"1.0 2.0\n*** 4.0\n", b"1.0 2.0\n10.04.0\n", b"12 2.0\n13 4.0\n"],
)
def test_other_tables_are_left_to_the_slow_way(text: bytes) -> None:
    assert columns.table(text, 2, 2) is None


@pytest.mark.parametrize(
    ("settings", "functional"),
    [
        ("", "PBE"),
        ("   GGA     =    PS    GGA type\n", "PBEsol"),
        ("   METAGGA = R2SCAN\n", "R2SCAN"),
        ("   LHFCALC =     T    Hartree Fock is set to\n   HFSCREEN=   0.2000\n", "HSE06"),
        ("   LHFCALC =     T    Hartree Fock is set to\n   HFSCREEN=   0.0000\n", "PBE0"),
        ("   IVDW   =     12\n", "PBE-D3(BJ)"),
        ("   LDA+U is selected, type is set to LDAUTYPE =  2\n", "PBE+U"),
    ],
)
def test_functionals(settings: str, functional: str, steps: list[Frame], tmp_path: Path) -> None:
    head = vasp.header(steps[0]).replace(
        "   GGA     =    --    GGA type\n", settings or "   GGA     =    --    GGA type\n"
    )
    (tmp_path / "OUTCAR").write_text(head)
    assert theory.of("vasp/outcar", [tmp_path / "OUTCAR"])["functional"] == functional


def test_xml_that_breaks_off(steps: list[Frame], tmp_path: Path, parsed: Parsed) -> None:
    """dpdata refuses it as a whole."""
    text = "".join(vasp.vasprun(steps))
    (tmp_path / "vasprun.xml").write_text(text[: text.rindex('<varray name="forces"')])
    (end,) = parsed(tmp_path, "vasp/xml")
    assert end["frames"] == 2
    assert told(end) == [(2, "truncated")]


def test_xml_with_an_unconverged_step(steps: list[Frame], tmp_path: Path, parsed: Parsed) -> None:
    pieces = list(vasp.vasprun(steps))
    pieces[3] = vasp.calculation(steps[1], iterations=vasp.NELM)
    (tmp_path / "vasprun.xml").write_text("".join(pieces))
    (end,) = parsed(tmp_path, "vasp/xml")
    assert end["frames"] == 2
    assert told(end) == [(1, "unconverged")]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda text: text.replace('name="forces"', 'name="other"'), "no-forces"),
        (lambda text: text.replace('name="basis"', 'name="other"'), "incomplete"),
        (lambda text: text.replace("e_fr_energy", "e_other"), "no-energy"),
        (lambda text: text.replace("<v>", "<v> ***"), "not-a-number"),
        (lambda text: text.replace("<modeling>", "<modeling> <"), "truncated"),
        (lambda text: '<?xml version="1.0"?><modeling></modeling>', "no-forces"),
    ],
)
def test_xml_that_does_not_join(
    spoil: Callable[[str], str], rule: str, steps: list[Frame], tmp_path: Path, parsed: Parsed
) -> None:
    (tmp_path / "vasprun.xml").write_text(spoil("".join(vasp.vasprun(steps[:1]))))
    (end,) = parsed(tmp_path, "vasp/xml")
    assert end["frames"] == 0
    assert end["set_aside"][0]["rule"] == rule


def test_xml_memory(steps: list[Frame], tmp_path: Path) -> None:
    peaks = []
    for count in (50, 500):
        (tmp_path / "vasprun.xml").write_text("".join(vasp.vasprun(list(islice(cycle(steps), count)))))
        tracemalloc.start()
        assert not any(isinstance(one, Unfit) for one in vasprun.frames([tmp_path / "vasprun.xml"]))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
