"""Rules about datasets: what is rejected, in which words, and how work is dealt out."""

from pathlib import Path

import pytest
from contracts.artifacts import FormatInfo
from contracts.base import SetAside
from ingest.confined import theory
from ingest.confined.programs.spec import Theory
from ingest.confinement import seccomp
from ingest.domain import Calculation, Rejected, judge, no_calculation, note
from ingest.work import WorkFolder

QE = FormatInfo(name="qe/pw/scf", title="pw.x", reads="files", names=("*.in", "*.out"))


def calculation(number: int = 0, frames: int = 1, bad: int = 0, failed: bool = False) -> Calculation:
    one = Calculation(number, f"f{number}/scf.out", "qe/pw/scf", ("x",), {}, frames=frames, frames_failed=bad)
    if failed:
        one.fails("truncated", "the output breaks off", "Let it finish.")
    return one


def failures(calculations: list[Calculation]) -> list[SetAside]:
    return [one.failure for one in calculations if one.failure is not None]


def test_half_may_fail_but_not_more() -> None:
    fine = [calculation(0), calculation(1, frames=0, failed=True)]
    judge(fine, [], failures(fine), 0.5)
    bad = [calculation(0), *(calculation(n, frames=0, failed=True) for n in (1, 2))]
    with pytest.raises(Rejected) as rejected:
        judge(bad, [], failures(bad), 0.5)
    assert rejected.value.rule == "too-many-failed"
    assert "2 of 3 calculations failed, more than 50%; the first is f1/scf.out" in rejected.value.reason
    assert len(rejected.value.set_aside) == 2


def test_frames_count_as_well_as_calculations() -> None:
    bad = calculation(0, frames=4, bad=6)
    assert bad.set_aside == 6
    # A trajectory that breaks off keeps its frames.
    judge([calculation(0, frames=9, failed=True)], [], [], 0.5)
    with pytest.raises(Rejected, match="6 of 10 frames failed"):
        judge([bad], [], [note(bad.path, 3, "not-finite", "forces: NaN", "Leave it out.")], 0.5)


def test_nothing_left_names_the_first_reason() -> None:
    lost = [calculation(0, frames=0, failed=True)]
    with pytest.raises(Rejected) as rejected:
        judge(lost, [], failures(lost), 1.0)
    assert rejected.value.rule == "nothing-readable"
    assert rejected.value.reason == "f0/scf.out could not be read: the output breaks off"
    assert rejected.value.remedy == "Let it finish."


def test_messages_say_what_was_found_and_what_to_do() -> None:
    wrong = no_calculation("vasp/outcar", QE, {"qe/pw/scf": ["a/scf.out"]}, "2 files")
    assert (wrong.rule, "a/scf.out looks like qe/pw/scf" in wrong.reason) == ("wrong-format", True)
    empty = no_calculation("qe/pw/scf", QE, {}, "nothing but README.md")
    assert empty.rule == "no-calculation"
    assert "it holds nothing but README.md" in empty.reason
    assert "files together for each calculation, usually named *.in, *.out" in empty.remedy
    unknown = no_calculation("detect", None, {}, "no files at all")
    assert (unknown.rule, "OUTCAR" in unknown.remedy) == ("no-calculation", True)


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
