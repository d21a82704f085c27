"""What an archive looks like, how sure that is, and what a wrong choice is answered."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contracts.artifacts import FormatInfo
from contracts.base import Detection
from frames.frame import Frame
from ingest.confined import opening
from ingest.confined.catalogue import formats
from ingest.confined.finding import Format, Tree, detect, detection, find
from ingest.domain import no_calculation
from outputs import GENERATORS

CATALOGUE = formats()
ROWS = [Format(one["name"], one["reads"], tuple(one["names"])) for one in CATALOGUE]


def row(name: str) -> Format:
    return next(one for one in ROWS if one.name == name)


def plant(root: Path, name: str, frames: list[Frame], folders: tuple[str, ...] = ("a", "b c")) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        GENERATORS[name].write(root / folder, frames if GENERATORS[name].many else frames[:1])


def told(root: Path, wanted: str = "detect") -> dict[str, Any]:
    """What the opening child answers, without unpacking anything."""
    calculations: list[dict[str, Any]] = []
    ends: list[str] = []

    def tell(name: str, some: list[dict[str, Any]]) -> None:
        assert not ends
        calculations.extend(some)
        if not some:
            ends.append(name)

    answer = opening.found(Tree(root), ROWS, wanted, tell)
    assert ends == [answer["format"]]
    return answer | {"calculations": calculations}


@pytest.fixture
def frames(examples: Callable[..., list[Frame]]) -> list[Frame]:
    return examples(2, 7, fixed_cell=True)


@pytest.mark.parametrize(
    ("name", "confidence", "sentence"),
    [
        (
            "cp2kdata/e_f",
            "certain",
            "2 calculations look like CP2K output of a single point (cp2kdata/e_f): each names CP2K.",
        ),
        ("gaussian/log", "certain", "2 calculations look like Gaussian log (gaussian/log): each names Gaussian."),
        (
            "abacus/scf",
            "certain",
            "2 calculations look like ABACUS single point (abacus/scf): each names ABACUS in OUT.*/running_scf.log.",
        ),
        (
            "deepmd/npy",
            "likely",
            "2 calculations look like DeePMD-kit systems (npy) (deepmd/npy): each is a folder with type.raw and"
            " set.*/*.npy.",
        ),
        (
            "extxyz",
            "certain",
            "2 calculations look like Extended XYZ (extxyz): each names Properties= or Lattice= in its second line.",
        ),
    ],
)
def test_it_says_what_it_found_and_how_sure(
    name: str, confidence: str, sentence: str, frames: list[Frame], tmp_path: Path
) -> None:
    plant(tmp_path, name, frames)
    for wanted in ("detect", name):
        answer = told(tmp_path, wanted)
        json.dumps(answer)
        assert answer["detection"] == {"format": name, "confidence": confidence, "sentence": sentence}
        Detection.model_validate(answer["detection"])


def test_names_of_one_program_are_likely_and_those_of_many_a_guess(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text("header lost")
    assert told(tmp_path)["detection"]["confidence"] == "likely"
    (tmp_path / "OUTCAR").rename(tmp_path / "run.out")
    assert told(tmp_path)["detection"] is None
    guess = told(tmp_path, "orca/spout")
    assert [one["path"] for one in guess["calculations"]] == ["run.out"]
    assert guess["detection"]["confidence"] == "guess"
    assert "by their names alone, which many programs use" in guess["detection"]["sentence"]


# What lies there, what was chosen, and why the choice is wrong.
WRONG = [
    ("gaussian/log", "orca/spout"),
    ("cp2kdata/e_f", "gaussian/log"),
    ("deepmd/npy/mixed", "deepmd/npy"),
    ("deepmd/npy", "deepmd/npy/mixed"),
    ("deepmd/npy", "deepmd/raw"),
    ("deepmd/hdf5/mixed", "deepmd/hdf5"),
    ("deepmd/hdf5", "deepmd/hdf5/mixed"),
    ("gaussian/md", "gaussian/log"),
    ("fhi_aims/output", "fhi_aims/scf"),
    ("abacus/md", "abacus/scf"),
    ("abacus/scf", "abacus/relax"),
    ("extxyz", "deepmd/npy"),
    ("gaussian/fchk", "gaussian/log"),
]


@pytest.mark.parametrize(("lies", "chosen"), WRONG)
def test_a_wrong_choice_is_told_what_it_looks_like(lies: str, chosen: str, frames: list[Frame], tmp_path: Path) -> None:
    plant(tmp_path, lies, frames)
    answer = told(tmp_path, chosen)
    assert answer["calculations"] == []
    info = FormatInfo.model_validate(next(one for one in CATALOGUE if one["name"] == chosen))
    said = Detection.model_validate(answer["detection"])
    rejected = no_calculation(chosen, info, answer["detected"], answer["summary"], said)
    assert rejected.rule == "wrong-format"
    assert f"looks like {lies}" in rejected.reason
    assert said.sentence in rejected.reason
    assert lies in rejected.remedy


def test_a_relaxation_may_be_read_as_all_its_steps(frames: list[Frame], tmp_path: Path) -> None:
    plant(tmp_path, "gaussian/log", frames)
    assert len(find(Tree(tmp_path), row("gaussian/md"))) == 2


def test_what_one_calculation_left_behind_twice_counts_once(frames: list[Frame], tmp_path: Path) -> None:
    plant(tmp_path, "gaussian/log", frames)
    for folder in ("a", "b c"):
        GENERATORS["gaussian/fchk"].write(tmp_path / folder, frames[:1])
    assert set(detect(Tree(tmp_path), ROWS)) == {"gaussian/log"}
    # Chosen by name, they are what is read, and what the detection is about.
    assert told(tmp_path, "gaussian/fchk")["detection"]["format"] == "gaussian/fchk"
    (tmp_path / "a" / "molecule.log").unlink()
    assert {name: len(found) for name, found in detect(Tree(tmp_path), ROWS).items()} == {
        "gaussian/log": 1,
        "gaussian/fchk": 1,
    }


def test_what_else_is_there_is_said(frames: list[Frame], tmp_path: Path) -> None:
    plant(tmp_path, "cp2kdata/e_f", frames)
    plant(tmp_path / "more", "extxyz", frames, ("x",))
    sentence = told(tmp_path)["detection"]["sentence"]
    assert sentence.endswith("each names CP2K. 1 calculation looks like Extended XYZ (extxyz), too.")


@pytest.mark.parametrize("mark", ["utf-16", "utf-8-sig"])
def test_text_in_another_encoding_is_recognised(mark: str, frames: list[Frame], tmp_path: Path) -> None:
    plant(tmp_path, "gaussian/log", frames, ("a",))
    path = tmp_path / "a/molecule.log"
    path.write_text(path.read_text(), encoding=mark)
    assert set(detect(Tree(tmp_path), ROWS)) == {"gaussian/log"}


def test_an_empty_tree_and_one_of_strange_names(tmp_path: Path) -> None:
    assert detection(Tree(tmp_path), "detect", [], {}) is None
    shutil.copy(__file__, tmp_path / "计算 输出.out")
    assert told(tmp_path)["detection"] is None
    assert "计算 输出.out" in told(tmp_path)["summary"]
