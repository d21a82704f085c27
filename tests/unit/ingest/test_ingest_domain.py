"""Rules about datasets: what is rejected, in which words, and how work is dealt out."""

import json
from pathlib import Path

import pytest
from contracts.artifacts import FormatInfo
from contracts.base import LevelOfTheory
from hypothesis import given
from hypothesis import strategies as st
from ingest.confined import theory
from ingest.confined.programs.spec import Theory
from ingest.confinement import seccomp
from ingest.domain import Calculation, Rejected, judge, level_of_theory, no_calculation, note, shares
from ingest.report import apply_report
from ingest.work import WorkFolder

QE = FormatInfo(name="qe/pw/scf", title="pw.x", reads="files", names=("*.in", "*.out"))


def calculation(number: int = 0, frames: int = 1, bad: int = 0, failed: bool = False, size: int = 1) -> Calculation:
    one = Calculation(number, f"f{number}/scf.out", "qe/pw/scf", ("x",), {}, size, frames=frames, frames_failed=bad)
    if failed:
        one.fails("truncated", "the output breaks off", "Let it finish.")
    return one


def test_half_may_fail_but_not_more() -> None:
    judge([calculation(0), calculation(1, frames=0, failed=True)], [], 0.5)
    with pytest.raises(Rejected) as rejected:
        judge([calculation(0), *(calculation(n, frames=0, failed=True) for n in (1, 2))], [], 0.5)
    assert rejected.value.rule == "too-many-failed"
    assert "2 of 3 calculations failed, more than 50%; the first is f1/scf.out" in rejected.value.reason
    assert len(rejected.value.set_aside) == 2


def test_frames_count_as_well_as_calculations() -> None:
    bad = calculation(0, frames=4, bad=6)
    bad.set_aside = [note(bad.path, 3, "not-finite", "forces: NaN", "Leave it out.")]
    with pytest.raises(Rejected, match="6 of 10 frames failed"):
        judge([bad], [], 0.5)


def test_nothing_left_names_the_first_reason() -> None:
    with pytest.raises(Rejected) as rejected:
        judge([calculation(0, frames=0, failed=True)], [], 1.0)
    assert rejected.value.rule == "nothing-readable"
    assert rejected.value.reason == "f0/scf.out could not be read: the output breaks off"
    assert rejected.value.remedy == "Let it finish."


def test_messages_say_what_was_found_and_what_to_do() -> None:
    wrong = no_calculation("vasp/outcar", QE, {"qe/pw/scf": ["a/scf.out"]}, "2 files")
    assert (wrong.rule, "a/scf.out looks like qe/pw/scf" in wrong.reason) == ("wrong-format", True)
    empty = no_calculation("qe/pw/scf", QE, {}, "1 file, such as README.md")
    assert empty.rule == "no-calculation"
    assert "it holds 1 file, such as README.md" in empty.reason
    assert "files together for each calculation, usually named *.in, *.out" in empty.remedy
    unknown = no_calculation("detect", None, {}, "no files at all")
    assert (unknown.rule, "OUTCAR" in unknown.remedy) == ("no-calculation", True)


def test_files_tell_first_and_the_contributor_fills_in() -> None:
    declared = LevelOfTheory(code="VASP", functional="PBE", basis="PAW")
    merged = level_of_theory({"code": "VASP 6.4", "cutoff_ev": 400.0}, declared)
    assert merged == LevelOfTheory(code="VASP 6.4", functional="PBE", cutoff_ev=400.0, basis="PAW")


@given(sizes=st.lists(st.integers(0, 10**9), min_size=1, max_size=60), parsers=st.integers(1, 8))
def test_every_calculation_is_dealt_once(sizes: list[int], parsers: int) -> None:
    calculations = [calculation(number, size=size) for number, size in enumerate(sizes)]
    dealt = shares(calculations, parsers, 1 << 25)
    assert sorted(one.number for share in dealt for one in share) == list(range(len(sizes)))
    assert 1 <= len(dealt) <= parsers
    assert all(dealt)
    assert all([one.number for one in share] == sorted(one.number for one in share) for share in dealt)


def line(**said: object) -> str:
    return json.dumps(said) + "\n"


def end(number: int, **changes: object) -> str:
    good = {"theory": {}, "frames": 1, "frames_failed": 0, "failed": False, "set_aside": [], "spool": [0, 10]}
    return line(end=number, **(good | changes))


def test_a_report_is_believed_as_far_as_it_fits(tmp_path: Path) -> None:
    calculations = {number: calculation(number, frames=0) for number in range(4)}
    entry = {"frame": 2, "rule": "not-finite", "reason": "x" * 10_000, "remedy": "y"}
    text = line(begin=0) + end(0, set_aside=[entry]) + line(begin=1) + end(1, frames=-5) + end(99) + "[1]\n"
    text += line(begin=2) + '{"end": 2, "fra'
    (tmp_path / "report").write_text(text)
    assert apply_report(tmp_path / "report", 3, calculations) == 2
    assert [one.done for one in calculations.values()] == [True, False, False, False]
    first = calculations[0]
    assert (first.frames, first.spool, first.set_aside[0].path) == (1, (3, 0, 10), "f0/scf.out")
    assert len(first.set_aside[0].reason) == 500


def test_theory_of_a_quantum_espresso_calculation(tmp_path: Path) -> None:
    (tmp_path / "scf.in").write_text("ATOMIC_SPECIES\n Si 28.08 Si.upf\nK_POINTS automatic\n 2 2 2 0 0 0\n")
    (tmp_path / "scf.out").write_text(
        "     Program PWSCF v.6.7MaX starts\n     kinetic-energy cutoff     =      24.0000  Ry\n"
        "     Exchange-correlation= PBE\n"
    )
    said = theory.of("qe/pw/scf", [tmp_path / "scf.in", tmp_path / "scf.out"])
    assert said == {
        "code": "Quantum ESPRESSO 6.7MaX",
        "functional": "PBE",
        "cutoff_ev": pytest.approx(326.537, abs=1e-3),
        "k_points": "2 2 2 0 0 0",
        "basis": "Si.upf",
    }
    assert theory.of("extxyz", [tmp_path / "scf.in"]) == {}


def test_theories_that_differ_are_listed() -> None:
    common: Theory = {"functional": "PBE", "cutoff_ev": 1.0}
    other: Theory = {"functional": "SCAN", "cutoff_ev": 2.0}
    assert theory.merged([common, other, common]) == {"functional": "several: PBE; SCAN"}


def test_folders_of_killed_processes_are_removed_and_those_in_use_kept(tmp_path: Path) -> None:
    base = tmp_path / "work"
    with WorkFolder.opened(base) as first:
        with first.job() as job:
            (job / "tree").mkdir()
        assert not job.exists()
        abandoned = base / "process-killed"
        (abandoned / "dataset-1/tree").mkdir(parents=True)
        (abandoned / ".lock").touch()
        with WorkFolder.opened(base) as second:
            assert first.path.exists()
            assert not abandoned.exists()
        assert not second.path.exists()
    assert [path.name for path in base.iterdir()] == ["caches"]


def test_a_work_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="POTLUCK_INGEST_WORK_FOLDER"), WorkFolder.opened(tmp_path / "work"):
        pass


def test_a_filter_for_an_unknown_machine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(seccomp.UnknownArchitecture, match="pdp11"):
        seccomp.program(1, may_write=False)
