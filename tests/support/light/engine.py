"""`python -m light.engine <parent pid>`: counts steps, stores them as checkpoints, and is better each time.

Errors halve with each round, so that the growth policy publishes. The attempt's fence, which its folder's name ends
with, goes into the outcome's versions: a published model tells whose candidate it is.
"""

import json
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from contracts.artifacts import FrameErrors, HeldOutFrames
from contracts.base import BranchError
from trainer.child import Emit, claim_stdout, die_with_parent, emitter, folder_from_stdin
from trainer.work import OUTCOME_FILE, WORK_FILE, BranchOutcome, Done, Outcome, Progress, Saved, Started, Stopped, Work

STEP_SECONDS = 0.02
SAVE_EVERY = 10
ENERGY, FORCE = 100.0, 1000.0
BASELINE = 2.0
"""Errors of the composition-only baseline, in units of zero-shot."""


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    emit = emitter(claim_stdout())
    folder = folder_from_stdin(emit)
    if folder is None:
        return
    work = Work.model_validate_json((folder / WORK_FILE).read_text())
    step = reached(folder, work)
    emit(Started(step=step, device="cpu"))
    while step < work.total_steps:
        if told:
            save(folder, step, emit)
            emit(Stopped(step=step))
            return
        time.sleep(STEP_SECONDS)
        step += 1
        if step % SAVE_EVERY == 0:
            save(folder, step, emit)
            emit(
                Progress(step=step, learning_rate=1e-3, branches=errors(work), frames_per_second=100, eta_seconds=1),
            )
    outcome = finished(folder, work)
    (folder / OUTCOME_FILE).write_text(outcome.model_dump_json())
    emit(Done())


def reached(folder: Path, work: Work) -> int:
    """Where an earlier attempt stopped."""
    return 0 if work.resume_from is None else int(json.loads((folder / work.resume_from).read_text())["step"])


def save(folder: Path, step: int, emit: Emit) -> None:
    path = Path(f"step-{step}.pt")
    (folder / path).write_text(json.dumps({"step": step}))
    emit(Saved(step=step, path=path))


def errors(work: Work, times: float = 0.5) -> tuple[BranchError, ...]:
    return tuple(
        BranchError(
            branch=one.name,
            energy_rmse_mev_per_atom=times * ENERGY,
            force_rmse_mev_per_angstrom=times * FORCE,
        )
        for one in work.branches
    )


def finished(folder: Path, work: Work) -> Outcome:
    for name in ("checkpoint.pt", "model.pt", "input.json"):
        (folder / name).write_text(json.dumps({"step": work.total_steps, "file": name}))
    frozen = {}
    for branch in work.branches:
        frozen[branch.name] = Path(f"{branch.name}.pth")
        (folder / frozen[branch.name]).write_text(branch.name)
    grown = work.parent is not None
    start = {one.branch: one for one in errors(work, 0.5)}
    zero_shot = {one.branch: one for one in errors(work, 1.0)}
    return Outcome(
        checkpoint=Path("checkpoint.pt"),
        release=Path("model.pt"),
        frozen=frozen,
        recipe=Path("input.json"),
        branches=tuple(measured(error) for error in errors(work)),
        zero_shot=tuple(zero_shot[one.name] for one in work.branches if one.is_new) if grown else (),
        start=tuple(zero_shot[one.name] for one in work.branches if one.is_new) if grown else (),
        parent_held_out=tuple(start[one.name] for one in work.branches if not one.is_new) if grown else (),
        steps=work.total_steps,
        wall_seconds=1.0,
        versions={"deepmd-kit": version("deepmd-kit"), "fence": folder.name.rpartition("-")[2]},
    )


def measured(error: BranchError) -> BranchOutcome:
    return BranchOutcome(
        name=error.branch,
        held_out=error,
        max_force_errors_ev_per_angstrom=(1.0,),
        baseline_energy_rmse_mev_per_atom=BASELINE * ENERGY,
        baseline_force_rmse_mev_per_angstrom=BASELINE * FORCE,
        held_out_frames=HeldOutFrames(
            atoms=(8,),
            after=of_one_frame([error.energy_rmse_mev_per_atom, error.force_rmse_mev_per_angstrom]),
            before=None,
            baseline=of_one_frame([BASELINE * ENERGY, BASELINE * FORCE]),
        ),
        sample=Path("never-read.lmdb"),
        predictions=Path("never-read.npz"),
    )


def of_one_frame(values: Sequence[float]) -> FrameErrors:
    return FrameErrors(energy_mev_per_atom=(values[0],), force_mev_per_angstrom=(values[1],))


if __name__ == "__main__":
    main()
