"""Files that break off anywhere: frames before the cut are kept as they were, and the cut is named."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from frames.frame import Frame
from ingest.confined import spool
from ingest.confined.finding import Format, Tree, find
from ingest.confined.reading import Parser
from outputs import GENERATORS
from read_outputs import ROWS, Examples


class Parsed(NamedTuple):
    frames: list[Frame]
    set_aside: list[dict[str, Any]]


def parsed(root: Path, name: str) -> Parsed:
    row = ROWS[name]
    (one,) = find(Tree(root), Format(name, row["reads"], tuple(row["names"])))
    report, spooled = BytesIO(), BytesIO()
    wanted = {
        "number": 0,
        "format": name,
        "files": list(one.files),
        "options": one.options,
        "multi": row["multi"],
        "theory": True,
    }
    Parser({"tree": str(root)}, [report, spooled, BytesIO()]).read([wanted])
    (end,) = [said for line in report.getvalue().splitlines() if "end" in (said := json.loads(line))]
    start, stop = end["spool"]
    frames = spool.frames(spooled, start, stop, "x", [True] * end["frames"])
    return Parsed(list(frames), end["set_aside"])


def assert_same(found: Frame, expected: Frame) -> None:
    for name in ("numbers", "coords", "cell", "forces"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    # Energies have more digits in one file of CP2K than in another.
    assert found.energy == pytest.approx(expected.energy, abs=1e-6)
    if found.virial is not None:
        np.testing.assert_array_equal(found.virial, expected.virial)


@pytest.mark.parametrize(
    ("name", "file", "named"),
    [
        ("n2p2", "input.data", "within a structure"),
        ("cp2kdata/md", "run-pos-1.xyz", "run-pos-1.xyz breaks off within frame {at}"),
        ("cp2kdata/md", "run-frc-1.xyz", "run-frc-1.xyz "),
        ("vasp/xml", "vasprun.xml", "the file breaks off, or is no XML, at line "),
    ],
)
def test_frames_before_the_cut_are_kept_and_the_cut_is_named(
    name: str, file: str, named: str, examples: Examples, tmp_path: Path
) -> None:
    GENERATORS[name].write(tmp_path, examples(3, 1, fixed_cell=True))
    whole, text = parsed(tmp_path, name), (tmp_path / file).read_bytes()
    assert (len(whole.frames), whole.set_aside) == (3, [])
    kept = set()
    # The last bytes one by one: half a number looks like a number.
    for cut in (*range(40, len(text), 61), *range(len(text) - 40, len(text))):
        (tmp_path / file).write_bytes(text[:cut])
        found = parsed(tmp_path, name)
        for one, expected in zip(found.frames, whole.frames, strict=False):
            assert_same(one, expected)
        if len(found.frames) < 3:
            (told,) = found.set_aside
            assert told["rule"] == "truncated"
            assert told["frame"] == (len(found.frames) or None)
            assert named.format(at=len(found.frames)) in told["reason"] or not found.frames
        kept.add(len(found.frames))
    assert kept >= {0, 1, 2}


def test_forces_of_cp2k_that_end_before_the_positions(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["cp2kdata/md"].write(tmp_path, examples(3, 1, fixed_cell=True))
    lines = (tmp_path / "run-frc-1.xyz").read_text().splitlines(keepends=True)
    (tmp_path / "run-frc-1.xyz").write_text("".join(lines[: 2 * len(lines) // 3]))
    found = parsed(tmp_path, "cp2kdata/md")
    assert len(found.frames) == 2
    assert [(one["frame"], one["reason"]) for one in found.set_aside] == [
        (2, "run-frc-1.xyz ends before the forces of step 2")
    ]


def test_an_output_of_cp2k_that_lags_behind_costs_no_frame(examples: Examples, tmp_path: Path) -> None:
    """A run that was killed has flushed its trajectory, and not its output: labels are there, convergence is not."""
    GENERATORS["cp2kdata/md"].write(tmp_path, examples(3, 1, fixed_cell=True))
    whole, text = parsed(tmp_path, "cp2kdata/md"), (tmp_path / "run.log").read_text()
    start, lagging = text.index(" ENERGY| "), 0
    for cut in range(start, len(text), 17):
        (tmp_path / "run.log").write_text(text[:cut])
        found = parsed(tmp_path, "cp2kdata/md")
        assert len(found.frames) == 3
        for one, expected in zip(found.frames, whole.frames, strict=True):
            assert_same(one, expected)
            assert one.converged in (True, None)
        if any(one.converged is None for one in found.frames):
            assert [one["reason"].partition(":")[0] for one in found.set_aside] == ["run.log breaks off"]
            lagging += 1
    assert lagging > 10


@pytest.mark.parametrize("spoil", [lambda text: text[:-90], lambda text: text.replace(" 2 ", " 2x", 1)])
def test_energies_of_cp2k_that_break_off_are_taken_from_the_trajectory(
    spoil: Callable[[str], str], examples: Examples, tmp_path: Path
) -> None:
    GENERATORS["cp2kdata/md"].write(tmp_path, examples(3, 1, fixed_cell=True))
    whole = parsed(tmp_path, "cp2kdata/md")
    path = tmp_path / "run-1.ener"
    path.write_text(spoil(path.read_text()))
    found = parsed(tmp_path, "cp2kdata/md")
    for one, expected in zip(found.frames, whole.frames, strict=True):
        assert_same(one, expected)


def test_what_is_no_number_in_a_trajectory_of_cp2k_is_named(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["cp2kdata/md"].write(tmp_path, examples(3, 1, fixed_cell=True))
    path = tmp_path / "run-pos-1.xyz"
    lines = path.read_text().splitlines(keepends=True)
    for place, by, rule in ((7, "five\n", "unreadable"), (9, " O ***** 1.0 1.0\n", "not-a-number")):
        path.write_text("".join([*lines[:place], by, *lines[place + 1 :]]))
        found = parsed(tmp_path, "cp2kdata/md")
        assert len(found.frames) == 1
        assert [(one["frame"], one["rule"]) for one in found.set_aside] == [(1, rule)]
        assert "run-pos-1.xyz" in found.set_aside[0]["reason"]


@pytest.mark.parametrize(
    "name",
    [
        "cp2kdata/e_f",
        "deepmd/raw",
        "extxyz",
        "fhi_aims/output",
        "openmx/md",
        "orca/spout",
        "psi4/out",
        "pwmat/movement",
        "qe/cp/traj",
        "qe/pw/scf",
        "siesta/output",
        "vasp/outcar",
    ],
)
def test_half_a_number_is_never_read(name: str, examples: Examples, tmp_path: Path) -> None:
    """Wherever in its last rows a file of labels breaks off: a frame comes as it was, or without its virial, or not."""
    GENERATORS[name].write(tmp_path, examples(1 + GENERATORS[name].many, 1, fixed_cell=True))
    whole = parsed(tmp_path, name)
    # Inputs and names of elements are no labels, and are often written by hand without a last line end.
    labels = [path for path in tmp_path.rglob("*") if path.suffix != ".in" and not path.name.startswith("type")]
    for path in filter(Path.is_file, labels):
        text = path.read_bytes()
        rows = [len(text), *(place for place, byte in enumerate(text) if byte == 10)]
        places = [at for end in rows[-60:] for at in range(max(1, end - 4), end + 1)]
        for cut in sorted(set(places))[-200:]:
            path.write_bytes(text[:cut])
            try:
                found = parsed(tmp_path, name)
            except ValueError:
                # Nothing is found any more.
                continue
            for one, expected in zip(found.frames, whole.frames, strict=False):
                assert_same(one, expected)
        path.write_bytes(text)
