"""deepmd's own trainer, driven in this process: looks at held-out frames, checkpoints, stops when told."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contracts.base import BranchError
from deepmd.pt.entrypoints.main import get_trainer
from deepmd.pt.utils.dataloader import setup_seed
from deepmd.pt.utils.env import DEVICE
from deepmd.pt.utils.multi_task import preprocess_shared_params
from deepmd.utils.argcheck import normalize
from deepmd.utils.compat import update_deepmd_input
from dpa.batches import Prediction
from dpa.live import predict, shift_energies
from frames.frame import Frame

from trainer.child import AttemptFailed, Emit
from trainer.engine.accuracy import measure
from trainer.engine.energies import by_symbol, energy_shift
from trainer.engine.frames import BranchFrames, spaced
from trainer.engine.pace import Pace
from trainer.engine.ranks import Alone, Ranks, without_gpus
from trainer.engine.turns import Turns
from trainer.engine.watch import LossWatch
from trainer.preset import Preset
from trainer.work import Progress, Saved

CHECKPOINT_FOLDER = Path("checkpoints")
# A sign of life between two looks at held-out frames: how far, how fast.
PULSE_SECONDS = 2.0
KEPT_CHECKPOINTS = 3
# At the end, of each branch: twice as many as there are elements whose energies are fitted.
ALIGNED_FRAMES = 240


class Stop(Exception):
    """Training stopped on request, after its checkpoint was written."""


def build(
    recipe: dict[str, Any],
    seed: int,
    *,
    init: Path | None = None,
    restart: Path | None = None,
    ranks: Ranks | None = None,
) -> Any:
    """deepmd's Trainer for a rendered recipe, as `dp --pt train --skip-neighbor-stat` builds it.

    `init` starts from its weights; `restart` also takes optimizer and step. The recipe is consumed. Of several
    `ranks` each draws branches of its own and its share of a branch's batches.
    """
    ranks = ranks or Alone()
    # LMDB branches never seed torch or numpy themselves.
    setup_seed([ranks.rank, seed])
    config, links = checked(recipe)
    # deepmd 3.2.0 reads the LMDB sampler's seed from here, and its argument check forbids it in the file.
    for position, data in enumerate(config["training"]["data_dict"].values()):
        data["seed"] = seed + position
    with without_gpus(ranks):
        trainer = get_trainer(
            config,
            init_model=str(init) if init else None,
            restart_model=str(restart) if restart else None,
            shared_links=links,
        )
    # A checkpoint's optimizer has the kernels of the machine that wrote it: fused ones on a GPU, others on a CPU.
    for group in trainer.optimizer.param_groups:
        if "fused" in group:
            group["fused"] = DEVICE.type != "cpu"
    return trainer


def checked(recipe: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The recipe with deepmd's defaults, and what its branches share. Raises what deepmd's own checker raises."""
    recipe["model"], links = preprocess_shared_params(recipe["model"])
    return normalize(update_deepmd_input(recipe, warning=False), multi_task=True), links


class Session:
    """Runs a trainer to its last step. Between steps it evaluates, saves and looks whether it must stop.

    Of several ranks the first one evaluates and saves; the others wait for it before the next step.
    """

    def __init__(
        self,
        trainer: Any,
        preset: Preset,
        frames: dict[str, BranchFrames],
        watch: LossWatch,
        emit: Emit,
        stop: Callable[[], bool],
        ranks: Ranks | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._trainer = trainer
        self._turns = turns
        self._ranks = ranks or Alone()
        # Of several ranks each holds the model in a wrapper that averages gradients.
        self._module = getattr(trainer.wrapper, "module", trainer.wrapper)
        self._preset = preset
        self._frames = frames
        self._watched = {name: spaced(one.held_out, preset.evaluate_frames) for name, one in frames.items()}
        self._emit = emit
        self._stop = stop
        self._step = int(trainer.start_step)
        self._saved_step = -1
        self._save_due = False
        self._watch = watch
        self._seen_frames = 0
        self._clock = self._told = time.monotonic()
        self._clock_step = self._step
        self._clock_frames = 0
        self._pace = Pace(trainer.num_steps, preset.evaluate_every, preset.evaluate_budget, self._step, self._clock)
        # deepmd has no hook between steps; this is the first thing that each of its steps calls.
        self._next_batch = trainer._next_training_batch  # noqa: SLF001
        trainer._next_training_batch = self._before_step  # noqa: SLF001
        self._give_turn()
        self._module.register_forward_hook(self._after_forward, with_kwargs=True)

    def run(self) -> Path:
        """Train, then align energies; returns the final checkpoint. Raises Stop, AttemptFailed ('not-finite')."""
        try:
            self._trainer.run()
        except RuntimeError:
            # deepmd refuses to write its own last checkpoint after a gradient that was no number.
            self._check_weights()
            raise
        self._ranks.leave()
        if self._ranks.rank == 0:
            self._watch.check(wait=True)
            self._align()
            self._report()
        return self._save()

    def predict(self, branch: str, frames: list[Frame]) -> Prediction:
        """By the weights as they are now."""
        model = self._module.model[branch]
        return predict(model, model.get_type_map(), frames)

    def _align(self) -> None:
        """Fit the energy of each element once more, in every branch.

        The net that all share has moved on to the last step, and what a branch learns of its energies is a little
        behind. An element that none of the frames has keeps its energy.
        """
        for name, one in self._frames.items():
            sample = spaced(one.train_sample, ALIGNED_FRAMES)
            predicted = self.predict(name, sample)
            if not np.isfinite(predicted.energy).all():
                found = f"branch {name} predicts energies of training frames that are no numbers"
                raise self._watch.failure(found, self._watch.suspect())
            elements = {symbol for frame in sample for symbol in frame.symbols}
            shift_energies(self._module.model[name], by_symbol(energy_shift(predicted, sample, {}), elements))

    def _before_step(self, branch: str) -> Any:
        """deepmd asks for a batch at the beginning of each step: `self._step` steps are complete."""
        told = self._stop()
        if not told:
            self._look()
        if self._ranks.agree(self._watch.check, told):
            if self._watch.calm:
                self._save()
            raise Stop
        self._step += 1
        self._give_turn()
        return self._next_batch(branch)

    def _give_turn(self) -> None:
        """Of the step that comes after `self._step` complete ones, and after the one that has drawn its branch."""
        if self._turns is not None:
            self._turns.give(self._trainer, self._step)

    def _look(self) -> None:
        """What is due after this step, by the first rank. It may fail alone: the others see it leave."""
        if self._ranks.rank != 0:
            return
        self._watch.check()
        if self._step > self._trainer.start_step:
            self._tell()
            self._save_due |= self._step % self._preset.checkpoint_every == 0
            if self._save_due and self._watch.calm:
                self._save()

    def _after_forward(self, module: Any, _args: Any, kwargs: dict[str, Any], output: Any) -> None:
        if module.training:
            self._seen_frames += int(kwargs["coord"].shape[0])
            self._watch.add(self._step, kwargs["task_key"], output[1], kwargs["label"])

    def _tell(self) -> None:
        """A look at the held-out frames when one is due, a sign of life when it is time for one."""
        now = time.monotonic()
        if self._pace.due(self._step, now):
            self._report()
            self._pace.looked(self._step, now, time.monotonic())
        elif now - self._told >= PULSE_SECONDS:
            self._progress(())

    def _report(self) -> None:
        self._watch.check(wait=True)
        self._progress(tuple(self._errors()))

    def _progress(self, branches: tuple[BranchError, ...]) -> None:
        """Time spent on held-out frames is part of what a step costs."""
        self._told = time.monotonic()
        elapsed = max(self._told - self._clock, 1e-6)
        done = max(self._step - self._clock_step, 1)
        rate = (self._seen_frames - self._clock_frames) * self._ranks.size / elapsed
        remaining = self._trainer.num_steps - self._step
        self._emit(
            Progress(
                step=self._step,
                learning_rate=float(self._trainer.lr_schedule.value(self._step)),
                branches=branches,
                frames_per_second=rate,
                eta_seconds=remaining * elapsed / done,
            )
        )
        self._clock, self._clock_step, self._clock_frames = self._told, self._step, self._seen_frames

    def _errors(self) -> list[BranchError]:
        try:
            return [measure(name, self.predict(name, frames), frames).error for name, frames in self._watched.items()]
        except AttemptFailed as error:
            raise self._watch.failure(str(error), self._watch.suspect()) from error

    def _check_weights(self) -> None:
        """A gradient may overflow though the loss does not: nobody must go on from such weights."""
        self._watch.check(wait=True)
        finite = [torch.isfinite(weights).all() for weights in self._trainer.wrapper.parameters()]
        if not bool(torch.stack(finite).all()):
            found = f"weights stopped being numbers before step {self._step}"
            raise self._watch.failure(found, self._watch.suspect())

    def _save(self) -> Path:
        path = CHECKPOINT_FOLDER / f"step-{self._step:09d}.pt"
        if self._ranks.rank != 0 or self._saved_step == self._step:
            return path
        self._check_weights()
        CHECKPOINT_FOLDER.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        # deepmd stores the last step; ours is the number of complete steps, from which a restart goes on.
        self._trainer.save_model(partial, lr=self._trainer.lr_schedule.value(self._step), step=self._step)
        partial.replace(path)
        self._saved_step = self._step
        self._save_due = False
        self._emit(Saved(step=self._step, path=path))
        for old in sorted(CHECKPOINT_FOLDER.glob("step-*.pt"))[:-KEPT_CHECKPOINTS]:
            old.unlink()
        return path
