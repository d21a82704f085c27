"""A model of silicon and water grows by a dataset, by each of the ways that are named, one after another:
`python tests/support/ways_to_grow.py <parent's training checkpoint> <dataset> <seed> <steps> <preset> <way> ...`.

    round    as a round of today: a branch of its own, with a neutral case and a fitted bias, the optimizer's moments of
             the parent, and branches that take turns
    turns    the same with a fresh optimizer
    moments  the moments, and draws at random
    own      neither: a fresh optimizer, and draws at random
    copied   as a round, but its case begins as a copy of its nearest branch's, so that it predicts as that one does
    copy     deepmd's `--finetune` with `finetune_head` at the nearest branch
    random   deepmd's `--finetune` with a new head

The same data, weights of the draws, learning rate, steps and seeds. Prints a line of JSON a way: its name and held-out
force RMSE by step (meV/Å) of each branch. deepmd's `--finetune` always begins with a fresh optimizer.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dpa.environment import environment

os.environ.update(environment())

import reference_model  # torch reads the environment at import
import stream
from deepmd.pt.entrypoints.main import get_trainer
from deepmd.pt.utils.dataloader import setup_seed
from deepmd.pt.utils.finetune import get_finetune_rules
from deepmd.pt.utils.multi_task import preprocess_shared_params
from deepmd.utils.argcheck import normalize
from deepmd.utils.compat import update_deepmd_input
from dpa.checkpoint import load as load_checkpoint
from dpa.predictor import Predictor
from dpa.surgery import case_dimension, shift_energies
from frames.store import write
from growing import PRESETS, Contribution
from registry.domain.planning import sampling_weights
from registry.domain.policy import GrowthPolicy
from registry_examples import member
from trainer.engine.accuracy import measure
from trainer.engine.energies import by_symbol, energy_shift
from trainer.engine.frames import BranchFrames, load
from trainer.engine.growth import grow
from trainer.engine.moments import adopt, carried
from trainer.engine.session import Session, build
from trainer.engine.turns import turns_of
from trainer.engine.watch import LossWatch
from trainer.preset import load_preset
from trainer.recipe import render
from trainer.work import Message, Progress, Work, WorkBranch

import torch  # isort: skip

LOOK_EVERY = 25
NEAREST = "silicon"
OLD = tuple(reference_model.BRANCHES)
AT_RANDOM = {"keeps_moments": False, "takes_turns": False}
COPIED = "copied"
WITH_BOTH = {"keeps_moments": True, "takes_turns": True}
SETTINGS = {
    "round": WITH_BOTH,
    COPIED: WITH_BOTH,
    "turns": {"keeps_moments": False, "takes_turns": True},
    "moments": {"keeps_moments": True, "takes_turns": False},
    "own": AT_RANDOM,
}
FINETUNE = {"copy": NEAREST, "random": None}
POLICY = GrowthPolicy.load(PRESETS.parent / "policy" / "growth.json")


def main(parent: Path, dataset: str, seed: int, steps: int, preset: str, ways: list[str]) -> None:
    for way in ways:
        with tempfile.TemporaryDirectory() as name:
            os.chdir(name)
            work = work_in(Path(name), parent, dataset, seed, steps, preset)
            print(json.dumps([way, curves(way, work)]), flush=True)
            os.chdir("/")


def curves(way: str, work: Work) -> dict[str, list[list[float]]]:
    """Step and error, by branch."""
    frames = load(work.branches, work.preset.alignment_frames, (), cutoff=0)
    work = work.model_copy(update={"preset": work.preset.model_copy(update=SETTINGS.get(way, AT_RANDOM))})
    if way in FINETUNE:
        trainer, start = by_finetune(FINETUNE[way])(work, frames)
    else:
        trainer, start = as_a_branch(work, frames, copied=way == COPIED)
    heard: list[Message] = []
    turns = turns_of(work)
    session = Session(trainer, work.preset, frames, LossWatch(1), heard.append, lambda: False, turns=turns)
    found = {name: [[0, start(session, name, frames)]] for name in frames}
    session.run()
    for message in heard:
        if isinstance(message, Progress):
            for error in message.branches:
                found[error.branch].append([message.step, round(error.force_rmse_mev_per_angstrom, 1)])
    return found


def work_in(folder: Path, parent: Path, dataset: str, seed: int, steps: int, preset: str) -> Work:
    """Two old branches and a new one, drawn as the platform's policy says."""
    parts = {name: (reference_model.training_frames(name), reference_model.held_out_frames(name)) for name in OLD}
    parts[dataset] = contribution(dataset).parts  # type: ignore[assignment]
    members = {name: member(name, len(train)) for name, (train, _) in parts.items()}
    old, new = sampling_weights([members[name] for name in OLD], [members[dataset]], steps, POLICY)
    branches = []
    for (name, (train, held_out)), weight in zip(parts.items(), (*old, *new), strict=True):
        write(folder / f"{name}.train.lmdb", train)
        write(folder / f"{name}.held-out.lmdb", held_out)
        branches.append(
            WorkBranch(
                name=name,
                train=Path(f"{name}.train.lmdb"),
                held_out=Path(f"{name}.held-out.lmdb"),
                has_virial=True,
                elements=tuple(sorted({symbol for frame in train for symbol in frame.symbols})),
                is_new=name == dataset,
                nearest=NEAREST,
                weight=weight,
            )
        )
    looking = {"evaluate_every": LOOK_EVERY, "evaluate_budget": 100.0}
    return Work(
        preset=load_preset(PRESETS, preset).model_copy(update=looking),
        total_steps=steps,
        seed=seed,
        parent=parent,
        resume_from=None,
        branches=tuple(branches),
    )


def contribution(title: str) -> Contribution:
    return next(one for one in stream.ten() if one.title == title)


Start = Callable[[Session, str, dict[str, BranchFrames]], float]


def as_a_branch(work: Work, frames: dict[str, BranchFrames], *, copied: bool = False) -> tuple[Any, Start]:
    grown = grow(work, parent_of(work), frames)
    before = grown.parent_held_out | (grown.zero_shot if copied else grown.start)
    if copied:
        copy_case(grown.checkpoint, next(branch for branch in work.branches if branch.is_new), frames)
    recipe = render(work, {name: one.train for name, one in frames.items()}, grown.case_dimension)
    trainer = build(recipe, work.seed, init=grown.checkpoint)
    if work.preset.keeps_moments:
        moments = carried(load_checkpoint(parent_of(work)), trainer)
        if moments is None:
            raise SystemExit("the parent's checkpoint has no moments that fit")
        adopt(trainer, moments)
    return trainer, lambda _session, name, _frames: round(before[name].error.force_rmse_mev_per_angstrom, 1)


def copy_case(grown: Path, branch: WorkBranch, frames: dict[str, BranchFrames]) -> None:
    """Rows of the shared net and energies as the nearest branch has them, aligned anew."""
    checkpoint, new = load_checkpoint(grown), branch.name
    state = checkpoint["model"]
    matrix = state[f"model.{new}.atomic_model.fitting_net.filter_layers.networks.0.layers.0.matrix"]
    rows = matrix[-case_dimension(checkpoint) :]
    case, its = (int(state[f"model.{one}.atomic_model.fitting_net.case_embd"].argmax()) for one in (new, NEAREST))
    rows[case] = rows[its]
    bias = "model.{}.atomic_model.out_bias"
    state[bias.format(new)].copy_(state[bias.format(NEAREST)])
    torch.save(checkpoint, grown)
    sample = frames[new].train_sample
    shift = energy_shift(Predictor(grown, new).predict(sample), sample, {})
    shift_energies(checkpoint, new, by_symbol(shift, branch.elements))
    torch.save(checkpoint, grown)


def parent_of(work: Work) -> Path:
    if work.parent is None:
        raise ValueError("there is nothing to grow")
    return work.parent


def by_finetune(head: str | None) -> Callable[[Work, dict[str, BranchFrames]], tuple[Any, Start]]:
    def built(work: Work, frames: dict[str, BranchFrames]) -> tuple[Any, Start]:
        recipe = render(work, {name: one.train for name, one in frames.items()})
        for branch in work.branches:
            if branch.is_new and head is not None:
                recipe["model"]["model_dict"][branch.name]["finetune_head"] = head
            elif not branch.is_new:
                recipe["model"]["model_dict"][branch.name]["finetune_head"] = branch.name
        # As `dp --pt train --finetune` does it, with the seeds of a round.
        setup_seed([0, work.seed])
        recipe["model"], links = preprocess_shared_params(recipe["model"])
        parent = str(parent_of(work))
        recipe["model"], rules = get_finetune_rules(parent, recipe["model"], change_model_params=False)
        config = normalize(update_deepmd_input(recipe, warning=False), multi_task=True)
        for position, data in enumerate(config["training"]["data_dict"].values()):
            data["seed"] = work.seed + position
        trainer = get_trainer(config, finetune_model=parent, finetune_links=rules, shared_links=links)
        return trainer, measured

    return built


def measured(session: Session, name: str, frames: dict[str, BranchFrames]) -> float:
    held_out = frames[name].held_out
    return round(measure(name, session.predict(name, held_out), held_out).error.force_rmse_mev_per_angstrom, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6:])
