"""One training of a prepared work folder in this process: `python tests/support/train_once.py <folder> <how>`.

`bare` is what `dp --pt train --skip-neighbor-stat` does with the rendered input; `steps` is the engine's own session
with nothing to look at (watching losses, checkpoints, signals); `whole` looks at held-out frames too. Prints seconds.
"""

import json
import os
import sys
import time
from pathlib import Path

from dpa.environment import environment

os.environ.update(environment())

from trainer.engine.frames import load  # torch reads the environment at import
from trainer.engine.session import Session, build
from trainer.engine.watch import LossWatch
from trainer.recipe import render
from trainer.work import WORK_FILE, Message, Progress, Work


def main(folder: Path, how: str) -> None:
    os.chdir(folder)
    work = Work.model_validate_json(Path(WORK_FILE).read_text())
    frames = load(work.branches, work.preset.alignment_frames, (), cutoff=0)
    trainer = build(render(work, {name: one.train for name, one in frames.items()}), work.seed)
    heard: list[Message] = []
    if how == "bare":
        run = trainer.run
    else:
        watched = frames if how == "whole" else {}
        run = Session(trainer, work.preset, watched, LossWatch(1), heard.append, lambda: False).run
    cpu, wall = time.process_time(), time.monotonic()
    run()
    looks = [one for one in heard if isinstance(one, Progress) and one.branches]
    told = {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall, "looks": len(looks)}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
