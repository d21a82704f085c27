"""Presets are files: deepmd takes each of ours, and trains another architecture without a line of code."""

import os
from pathlib import Path
from typing import Any

import pytest
from dpa.environment import environment

os.environ.update(environment())

from contracts.recipe import PresetNeeds  # torch reads the environment at import
from crystals import crystals
from dargs.dargs import ArgumentError
from frames.store import write
from trainer.engine.attempt import Attempt
from trainer.engine.session import build, checked
from trainer.preset import load_preset, preset_names
from trainer.recipe import render
from trainer.verify import checks
from trainer.work import OUTCOME_FILE, WORK_FILE, Done, Message, Outcome, Saved, Work, WorkBranch
from trainer_fleet import PRESETS

STEPS = 100
NAMES = ("silicon", "germanium")


def work(folder: Path, preset: str, steps: int = STEPS) -> Work:
    """Two new branches with their frames in the folder; whatever machine the preset asks for, it is this one."""
    parts = []
    for name, element in zip(NAMES, ("Si", "Ge"), strict=True):
        train, held_out = Path(f"{name}.train.lmdb"), Path(f"{name}.held-out.lmdb")
        write(folder / train, crystals(element, element, 8, 3))
        write(folder / held_out, crystals(element, element, 2, 4))
        parts.append(
            WorkBranch(
                name=name, train=train, held_out=held_out, has_virial=True, elements=(element,), is_new=True, weight=0.5
            )
        )
    return Work(
        preset=load_preset(PRESETS, preset).model_copy(update={"needs": PresetNeeds()}),
        total_steps=steps,
        seed=1,
        parent=None,
        resume_from=None,
        branches=tuple(parts),
    )


def recipe(job: Work) -> dict[str, Any]:
    return render(job, {branch.name: branch.train for branch in job.branches})


@pytest.mark.parametrize("parent", [None, Path("parent.pt")], ids=["first", "growth"])
@pytest.mark.parametrize("name", preset_names(PRESETS))
def test_deepmds_own_checker_takes_every_preset(name: str, parent: Path | None, tmp_path: Path) -> None:
    job = work(tmp_path, name).model_copy(update={"parent": parent})
    config, _ = checked(recipe(job))
    assert config["training"]["numb_steps"] == STEPS
    misspelt = recipe(job)
    misspelt["model"]["shared_dict"]["descriptor"]["unheard_of"] = 1
    with pytest.raises(ArgumentError, match="unheard_of"):
        checked(misspelt)


@pytest.mark.parametrize("name", ["small", "large", "laptop-dpa4"])
def test_deepmd_builds_what_the_preset_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = build(recipe(work(tmp_path, name)), 1)
    weights = sum(weights.numel() for weights in trainer.wrapper.parameters())
    smallest, largest = {"small": (5e5, 1e6), "large": (3e6, 4e6), "laptop-dpa4": (3e4, 2e5)}[name]
    assert smallest < weights < largest


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["small", "laptop-dpa4"])
def test_every_size_and_architecture_is_trained_frozen_and_verified_by_the_same_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few steps of it, on a CPU too: `small` takes 1.6 GB there, `laptop-dpa4` minutes to freeze."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / WORK_FILE).write_text(work(tmp_path, name, steps=4).model_dump_json())
    heard: list[Message] = []
    Attempt(tmp_path, heard.append, lambda: False).run()
    assert isinstance(heard[-1], Done)
    assert [one.step for one in heard if isinstance(one, Saved)][-1] == 4
    verified = checks.verify()
    assert verified.passed, verified.sentence


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_largest_size_takes_its_first_steps_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own batches of 256 atoms want a GPU; one frame of eight atoms takes 1.5 GB and 20 s of a core."""
    monkeypatch.chdir(tmp_path)
    job = work(tmp_path, "large", steps=3)
    job = job.model_copy(update={"preset": job.preset.model_copy(update={"batch_size": 1})})
    (tmp_path / WORK_FILE).write_text(job.model_dump_json())
    heard: list[Message] = []
    Attempt(tmp_path, heard.append, lambda: False).run()
    assert isinstance(heard[-1], Done)
    assert [one.step for one in heard if isinstance(one, Saved)][-1] == 3
    outcome = Outcome.model_validate_json((tmp_path / OUTCOME_FILE).read_text())
    assert list(outcome.frozen) == list(NAMES)
