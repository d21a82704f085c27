"""`python -m light.worker`: the trainer's worker as it is, with the light programs in place of the real ones."""

import runpy

import trainer.launchers.local
import trainer.round
import trainer.scoring

trainer.launchers.local.ENGINE = "light.engine"  # type: ignore[misc]
trainer.round.VERIFY = "light.verify"  # type: ignore[misc]
trainer.scoring.SCORE = "light.score"  # type: ignore[misc]

if __name__ == "__main__":
    runpy.run_module("trainer", run_name="__main__", alter_sys=True)
