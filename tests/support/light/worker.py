"""`python -m light.worker`: the trainer's worker as it is, with the light programs in place of the real ones."""

import runpy

from trainer import round as of_a_round
from trainer import scoring
from trainer.launchers import local

for module, name, program in (
    (local, "ENGINE", "light.engine"),
    (of_a_round, "VERIFY", "light.verify"),
    (scoring, "SCORE", "light.score"),
):
    setattr(module, name, program)

if __name__ == "__main__":
    runpy.run_module("trainer", run_name="__main__", alter_sys=True)
