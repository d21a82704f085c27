"""A grown model goes on with what its parent's optimizer knew of the weights, and its branches take turns."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dpa.environment import environment

os.environ.update(environment())

from crystals import crystals  # torch reads the environment at import
from dpa.checkpoint import Checkpoint, load
from dpa.predictor import device
from dpa.surgery import NewBranch, add_branches, remove_branches
from frames.store import write
from of_a_gpu import as_a_gpu_writes
from trainer.engine.attempt import Attempt
from trainer.engine.moments import adopt, carried
from trainer.engine.session import build
from trainer.engine.turns import order
from trainer.engine.watch import LossWatch
from trainer.preset import load_preset
from trainer.recipe import render
from trainer.work import OUTCOME_FILE, WORK_FILE, Done, Message, Outcome, Saved, Stopped, Work, WorkBranch
from trainer_fleet import PRESETS

import torch  # isort: skip

FIRST_STEPS, STEPS = 12, 8
NAMES = {"silicon": ("Si", "Si"), "germanium": ("Ge", "Ge")}


def branch(folder: Path, name: str, elements: tuple[str, str], *, is_new: bool) -> WorkBranch:
    train, held_out = folder / f"{name}.train.lmdb", folder / f"{name}.held-out.lmdb"
    if not train.exists():
        write(train, crystals(*elements, 8, 3))
        write(held_out, crystals(*elements, 2, 4))
    symbols = tuple(sorted(set(elements)))
    return WorkBranch(
        name=name, train=train, held_out=held_out, has_virial=True, elements=symbols, is_new=is_new, weight=0.5
    )


def attempt(folder: Path, work: Work, stop: Callable[[list[Message]], bool] = lambda _heard: False) -> list[Message]:
    folder.mkdir(exist_ok=True)
    (folder / WORK_FILE).write_text(work.model_dump_json())
    heard: list[Message] = []
    before = Path.cwd()
    try:
        Attempt(folder, heard.append, lambda: stop(heard)).run()
    finally:
        os.chdir(before)
    return heard


def outcome(folder: Path) -> Outcome:
    return Outcome.model_validate_json((folder / OUTCOME_FILE).read_text())


def optimizer_steps(checkpoint: Path) -> set[int]:
    """How many steps each weight's moments are made of."""
    return {int(state["step"]) for state in load(checkpoint)["optimizer"]["state"].values()}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training checkpoint of a first model; its datasets lie beside its folder."""
    folder = tmp_path_factory.mktemp("parent")
    work = Work(
        preset=load_preset(PRESETS, "smoke"),
        total_steps=FIRST_STEPS,
        seed=1,
        parent=None,
        resume_from=None,
        branches=tuple(branch(folder, name, elements, is_new=True) for name, elements in NAMES.items()),
    )
    assert isinstance(attempt(folder / "work", work)[-1], Done)
    assert outcome(folder / "work").moments_kept is None
    return folder / "work" / outcome(folder / "work").checkpoint


def growth(parent: Path, **changes: Any) -> Work:
    folder = parent.parents[2]
    old = [branch(folder, name, elements, is_new=False) for name, elements in NAMES.items()]
    work = Work(
        preset=load_preset(PRESETS, "smoke").model_copy(update={"keeps_moments": True}),
        total_steps=STEPS,
        seed=2,
        parent=parent,
        resume_from=None,
        branches=(*old, branch(folder, "carbide", ("Si", "C"), is_new=True)),
    )
    return work.model_copy(update=changes)


def trainer_of(checkpoint: Checkpoint, folder: Path) -> Any:
    """deepmd's, for the checkpoint's branches; each trains on a silicon of its own in `folder`.

    A trainer that never runs keeps its LMDB open, and a process opens one only once: a test that fails must not take
    the others' datasets with it.
    """
    torch.save(checkpoint, folder / "grown.pt")
    names = list(checkpoint["model"]["_extra_state"]["model_params"]["model_dict"])
    silicon = branch(folder, "silicon", ("Si", "Si"), is_new=False)
    work = Work(
        preset=load_preset(PRESETS, "smoke"),
        total_steps=STEPS,
        seed=2,
        parent=Path("grown.pt"),
        resume_from=None,
        branches=tuple(silicon.model_copy(update={"name": name}) for name in names),
    )
    dimension = next(tensor.numel() for key, tensor in checkpoint["model"].items() if key.endswith("case_embd"))
    recipe = render(work, {one.name: one.train for one in work.branches}, dimension)
    return build(recipe, 2, init=folder / "grown.pt")


@pytest.mark.parametrize("added", [1, 3], ids=["room", "widened"])
def test_each_weight_has_the_moments_that_the_parent_left_it_and_new_cases_have_none(
    added: int, parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    was = load(parent)
    saved = {place: dict(state) for place, state in was["optimizer"]["state"].items()}
    grown = load(parent)
    add_branches(grown, [NewBranch(f"new-{number}", "silicon", ("Si",)) for number in range(added)])
    trainer = trainer_of(grown, tmp_path)
    moments = carried(load(tmp_path / "grown.pt"), trainer)
    assert moments is not None
    rates = [group["lr"] for group in trainer.optimizer.param_groups]
    adopt(trainer, moments)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == rates
    now = trainer.optimizer.state_dict()["state"]
    assert now.keys() == saved.keys()
    wider = 0
    for place, weights in enumerate(trainer.wrapper.parameters()):
        if place not in saved:
            continue
        assert int(now[place]["step"]) == FIRST_STEPS
        for name in ("exp_avg", "exp_avg_sq"):
            before, after = saved[place][name], now[place][name].cpu()
            assert after.shape == weights.shape
            rest = after.clone()
            part = tuple(slice(side) for side in before.shape)
            assert torch.equal(after[part], before)
            rest[part] = 0
            assert not rest.any()
            wider += before.shape != after.shape
    assert wider == (2 if added == 3 else 0)
    trainer.run()  # such a state is one that it can go on from


def test_a_round_goes_on_with_the_parents_moments_and_says_so(parent: Path, tmp_path: Path) -> None:
    assert isinstance(attempt(tmp_path / "work", growth(parent))[-1], Done)
    ended = outcome(tmp_path / "work")
    assert ended.moments_kept is True
    assert max(optimizer_steps(tmp_path / "work" / ended.checkpoint)) == FIRST_STEPS + STEPS


def test_an_attempt_that_is_resumed_takes_the_moments_of_its_checkpoint_not_the_parents(
    parent: Path, tmp_path: Path
) -> None:
    work = growth(parent)
    work = work.model_copy(update={"preset": work.preset.model_copy(update={"checkpoint_every": 4})})
    heard = attempt(tmp_path / "first", work, stop=lambda heard: any(isinstance(one, Saved) for one in heard))
    assert isinstance(heard[-1], Stopped)
    saved = next(one for one in heard if isinstance(one, Saved))
    checkpoint = tmp_path / "first" / saved.path
    assert max(optimizer_steps(checkpoint)) == FIRST_STEPS + saved.step
    as_a_gpu_writes(checkpoint)  # workers with and without one take over each other's rounds
    resumed = work.model_copy(update={"resume_from": checkpoint})
    assert isinstance(attempt(tmp_path / "second", resumed)[-1], Done)
    ended = outcome(tmp_path / "second")
    assert ended.moments_kept is True
    assert max(optimizer_steps(tmp_path / "second" / ended.checkpoint)) == FIRST_STEPS + STEPS
    (group,) = load(tmp_path / "second" / ended.checkpoint)["optimizer"]["param_groups"]
    assert group["fused"] is (device() != "cpu")


def test_branches_take_turns_and_an_attempt_that_is_resumed_goes_on_with_them(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[int, str] = {}
    add = LossWatch.add

    def told(watch: LossWatch, step: int, branch: str, *rest: Any) -> None:
        trained[step] = branch
        add(watch, step, branch, *rest)

    monkeypatch.setattr(LossWatch, "add", told)
    work = growth(
        parent,
        branches=tuple(
            one.model_copy(update={"weight": weight})
            for one, weight in zip(growth(parent).branches, (0.25, 0.25, 0.5), strict=True)
        ),
    )
    work = work.model_copy(update={"preset": work.preset.model_copy(update={"checkpoint_every": 3})})
    names = [work.branches[place].name for place in order([0.25, 0.25, 0.5], STEPS)]
    assert [names.count(one.name) for one in work.branches] == [2, 2, 4]
    heard = attempt(tmp_path / "first", work, stop=lambda heard: any(isinstance(one, Saved) for one in heard))
    assert isinstance(heard[-1], Stopped)
    saved = next(one for one in heard if isinstance(one, Saved))
    assert 0 < saved.step < STEPS
    assert [trained[step] for step in sorted(trained)] == names[: len(trained)]
    trained.clear()
    resumed = work.model_copy(update={"resume_from": tmp_path / "first" / saved.path})
    assert isinstance(attempt(tmp_path / "second", resumed)[-1], Done)
    assert [trained[step] for step in sorted(trained)] == names[saved.step :]
    assert outcome(tmp_path / "second").took_turns is True


def test_without_it_a_round_begins_with_a_fresh_optimizer(parent: Path, tmp_path: Path) -> None:
    work = growth(parent)
    work = work.model_copy(update={"preset": work.preset.model_copy(update={"keeps_moments": False})})
    assert isinstance(attempt(tmp_path / "work", work)[-1], Done)
    ended = outcome(tmp_path / "work")
    assert ended.moments_kept is False
    assert max(optimizer_steps(tmp_path / "work" / ended.checkpoint)) == STEPS


def test_moments_that_do_not_fit_are_left(parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a withdrawn dataset's gradients nothing is taken along; a release has none; other optimizers keep others."""
    monkeypatch.chdir(tmp_path)
    without = load(parent)
    remove_branches(without, ["germanium"])
    trainer = trainer_of(without, tmp_path)
    assert carried(load(tmp_path / "grown.pt"), trainer) is None
    released = load(parent)
    del released["optimizer"]
    assert carried(released, trainer) is None
    fits = load(parent)
    assert carried(fits, trainer) is not None
    for state in fits["optimizer"]["state"].values():
        state["momentum_buffer"] = state.pop("exp_avg")
    assert carried(fits, trainer) is None
