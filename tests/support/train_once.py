"""One training of a prepared work folder in this process: `python tests/support/train_once.py <folder> <how>`.

    bare    what `dp --pt train --skip-neighbor-stat` does with the rendered input
    steps   the engine's own session with nothing to look at (watching losses, checkpoints, signals)
    whole   the same, and it looks at held-out frames

The first two stop themselves (SIGSTOP) before their first step, so that they can be let go in turns. Prints seconds of
processor time and wall time as JSON.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from dpa.environment import environment

os.environ.update(environment())

from trainer.engine.frames import load  # torch reads the environment at import
from trainer.engine.session import Session, build
from trainer.engine.watch import LossWatch
from trainer.recipe import render
from trainer.work import WORK_FILE, Message, Work


class Looking(Session):
    """Processor and wall time of each look, the one at the end among them, and of fitting energies."""

    costs: tuple[tuple[float, float], ...] = ()
    aligning: tuple[float, float] = (0, 0)

    def _report(self) -> None:
        cpu, wall = time.process_time(), time.monotonic()
        super()._report()
        self.costs += ((time.process_time() - cpu, time.monotonic() - wall),)

    def _align(self) -> None:
        cpu, wall = time.process_time(), time.monotonic()
        super()._align()
        self.aligning = time.process_time() - cpu, time.monotonic() - wall


def main(folder: Path, how: str) -> None:
    os.chdir(folder)
    work = Work.model_validate_json(Path(WORK_FILE).read_text())
    frames = load(work.branches, work.preset.alignment_frames, (), cutoff=0)
    trainer = build(render(work, {name: one.train for name, one in frames.items()}), work.seed)
    heard: list[Message] = []
    costs: tuple[tuple[float, float], ...] = ()
    aligning = (0.0, 0.0)
    if how != "whole":
        os.kill(os.getpid(), signal.SIGSTOP)
    cpu, wall = time.process_time(), time.monotonic()
    if how == "bare":
        trainer.run()
    else:
        watched = frames if how == "whole" else {}
        session = Looking(trainer, work.preset, watched, LossWatch(1), heard.append, lambda: False)
        session.run()
        costs, aligning = session.costs[:-1], session.aligning
    told = {
        "cpu": time.process_time() - cpu - aligning[0],
        "wall": time.monotonic() - wall - aligning[1],
        "aligning_cpu": aligning[0],
        "aligning_wall": aligning[1],
        "looks": len(costs),
        "looking_cpu": sum(cpu for cpu, _ in costs),
        "looking_wall": sum(wall for _, wall in costs),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
