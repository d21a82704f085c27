"""One attempt at a round, from the work file to the outcome file."""

import copy
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from contracts.artifacts import HeldOutFrames
from deepmd.pt.utils.env import DEVICE
from dpa.checkpoint import load as load_checkpoint
from dpa.checkpoint import step as step_of
from dpa.release import freeze, write_release
from frames.baseline import composition_only
from frames.frame import Frame
from frames.store import write

from trainer.child import AttemptFailed, Emit
from trainer.engine.accuracy import MILLI, Accuracy, baseline_errors, measure
from trainer.engine.capacity import check, check_gpu, reach
from trainer.engine.frames import BranchFrames, load, spaced
from trainer.engine.growth import Grown, check_software, described, grow
from trainer.engine.moments import adopt, carried
from trainer.engine.ranks import Alone, Ranks
from trainer.engine.session import Session, Stop, build
from trainer.engine.turns import takes_turns, turns_of
from trainer.engine.watch import LossWatch
from trainer.recipe import RECIPE_FILE, contradictions, render
from trainer.work import OUTCOME_FILE, WORK_FILE, BranchOutcome, Done, Outcome, Progress, Started, Stopped, Work

SAMPLE_FRAMES = 8
RELEASE_FILE = "model.pt"
FROZEN_FOLDER = Path("frozen")
SAMPLE_FOLDER = Path("samples")


@dataclass(frozen=True, slots=True)
class _Start:
    """What every rank trains."""

    recipe: dict[str, Any]
    init: Path | None
    """Weights to start from; none: random ones, or a resumed checkpoint."""


class Attempt:
    """Trains, measures, freezes. Everything it writes lies in its folder, which becomes the working directory."""

    def __init__(self, folder: Path, emit: Emit, stop: Callable[[], bool], ranks: Ranks | None = None) -> None:
        os.chdir(folder)
        self._ranks = ranks or Alone()
        self._work = Work.model_validate_json(Path(WORK_FILE).read_text())
        self._emit = emit
        self._stop = stop
        self._began = time.monotonic()
        self._moments_kept = False

    def run(self) -> None:
        """Ends with `done` or `stopped`. Raises AttemptFailed for what is foreseen."""
        try:
            self._run()
        except Stop:
            self._emit(Stopped(step=self._reached))

    def _run(self) -> None:
        work = self._work
        self._reached = step_of(load_checkpoint(work.resume_from)) if work.resume_from else 0
        if self._ranks.rank != 0:
            self._session(self._ranks.share(), {}).run()
            return
        standard = [bytes.fromhex(one) for one in work.standard_frames]
        check_software(work)
        check_gpu(work.preset)
        cutoff = reach(work.preset.model.shared_dict)
        frames = load(work.branches, work.preset.alignment_frames, standard, cutoff)
        check({name: one.largest for name, one in frames.items()}, work.preset.batch_size)
        self._stop_if_told()
        grown = grow(work, work.parent, frames) if work.parent else None
        self._stop_if_told()
        folders = {name: one.train for name, one in frames.items()}
        recipe = render(work, folders, grown.case_dimension if grown else None)
        Path(RECIPE_FILE).write_text(json.dumps(recipe, indent=1))
        if grown is not None:
            self._check_architecture(recipe, grown)
        session = self._session(self._ranks.share(_Start(recipe, grown.checkpoint if grown else None)), frames)
        self._emit(Started(step=self._reached, device=str(DEVICE)))
        if grown is not None and work.resume_from is None:
            self._report_start(grown)
        checkpoint = session.run()
        self._reached = work.total_steps
        self._stop_if_told()
        outcome = self._finish(session, checkpoint, frames, grown)
        Path(OUTCOME_FILE).write_text(outcome.model_dump_json(indent=1))
        self._emit(Done())

    def _stop_if_told(self) -> None:
        if self._stop():
            raise Stop

    def _session(self, start: "_Start", frames: dict[str, BranchFrames]) -> Session:
        """Of several ranks each builds the same, and the first one has the frames."""
        work, ranks = self._work, self._ranks
        if work.resume_from is not None:
            # Other draws than those that the earlier attempt has seen.
            trainer = build(start.recipe, work.seed + self._reached, restart=work.resume_from, ranks=ranks)
        else:
            trainer = build(start.recipe, work.seed, init=start.init, ranks=ranks)
        if start.init is not None and work.preset.keeps_moments:
            self._take_over_moments(trainer, start.init)
        watch = LossWatch(work.learning_rate_factor)
        turns = turns_of(work, ranks.rank, ranks.size)
        return Session(trainer, work.preset, frames, watch, self._emit, self._stop, ranks, turns)

    def _take_over_moments(self, trainer: Any, parent: Path) -> None:
        moments = carried(load_checkpoint(parent), trainer)
        self._moments_kept = moments is not None
        # A resumed checkpoint has its own, which began with these.
        if moments is not None and self._work.resume_from is None:
            adopt(trainer, moments)

    def _check_architecture(self, recipe: dict[str, Any], grown: Grown) -> None:
        shared = recipe["model"]["shared_dict"]
        branch = {
            key: copy.deepcopy(shared.get(value, value)) if isinstance(value, str) else value
            for key, value in self._work.preset.model.branch.items()
        }
        found = list(contradictions(branch, described(load_checkpoint(grown.checkpoint))))
        if found:
            raise AttemptFailed(
                "preset-mismatch",
                f"preset {self._work.preset.name} describes another architecture than the parent has: "
                f"{'; '.join(found)}. A new architecture needs a new major version.",
                retryable=False,
            )

    def _report_start(self, grown: Grown) -> None:
        before = grown.parent_held_out | grown.start
        self._emit(
            Progress(
                step=0,
                learning_rate=0,
                branches=tuple(before[branch.name].error for branch in self._work.branches),
                frames_per_second=0,
                eta_seconds=0,
            )
        )

    def _finish(
        self, session: Session, checkpoint: Path, frames: dict[str, BranchFrames], grown: Grown | None
    ) -> Outcome:
        before = grown.parent_held_out | grown.zero_shot if grown else {}
        outcomes = tuple(self._measured(session, one, before.get(one.name)) for one in frames.values())
        release = Path(RELEASE_FILE)
        write_release(checkpoint, release)
        FROZEN_FOLDER.mkdir(exist_ok=True)
        frozen = {}
        for name in frames:
            self._stop_if_told()
            frozen[name] = freeze(release, name, FROZEN_FOLDER, self._work.preset.frozen_suffix)
        return Outcome(
            checkpoint=checkpoint,
            release=release,
            frozen=frozen,
            recipe=Path(RECIPE_FILE),
            branches=outcomes,
            zero_shot=tuple(one.error for one in grown.zero_shot.values()) if grown else (),
            start=tuple(one.error for one in grown.start.values()) if grown else (),
            parent_held_out=tuple(one.error for one in grown.parent_held_out.values()) if grown else (),
            moments_kept=self._moments_kept if grown else None,
            took_turns=takes_turns(self._work),
            steps=self._work.total_steps,
            wall_seconds=time.monotonic() - self._began,
            versions={name: version(name) for name in ("deepmd-kit", "torch", "numpy")},
        )

    def _measured(self, session: Session, frames: BranchFrames, before: Accuracy | None) -> BranchOutcome:
        prediction = session.predict(frames.name, frames.held_out)
        accuracy = measure(frames.name, prediction, frames.held_out)
        baseline = composition_only(frames.train_sample)
        sample, predictions = self._sample(session, frames.name, spaced(frames.held_out, SAMPLE_FRAMES))
        return BranchOutcome(
            name=frames.name,
            held_out=accuracy.error,
            max_force_errors_ev_per_angstrom=accuracy.max_force_errors,
            baseline_energy_rmse_mev_per_atom=baseline.energy_rmse(frames.held_out) * MILLI,
            baseline_force_rmse_mev_per_angstrom=baseline.force_rmse(frames.held_out) * MILLI,
            baseline_element_energies_ev=baseline.by_element(frames.held_out),
            baseline_train_frames=frames.sampled,
            held_out_frames=HeldOutFrames(
                atoms=tuple(frame.natoms for frame in frames.held_out),
                after=accuracy.frames,
                before=before.frames if before else None,
                baseline=baseline_errors(baseline, frames.held_out),
                hashes=tuple(one.hex() for one in frames.hashes),
                seen=frames.seen,
            ),
            left_out_frames=frames.left_out,
            left_out_held_out=next(one.left_out_held_out for one in self._work.branches if one.name == frames.name),
            sample=sample,
            predictions=predictions,
        )

    def _sample(self, session: Session, branch: str, frames: list[Frame]) -> tuple[Path, Path]:
        """What the verification repeats in a fresh process."""
        sample = SAMPLE_FOLDER / f"{branch}.lmdb"
        write(sample, frames)
        prediction = session.predict(branch, frames)
        path = SAMPLE_FOLDER / f"{branch}.npz"
        np.savez(path, energy=prediction.energy, forces=np.concatenate(prediction.forces))
        return sample, path
