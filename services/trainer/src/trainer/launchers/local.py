"""One process on this machine: a CPU, or one GPU."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from trainer.hardware import Hardware, this_machine
from trainer.process import ENGINE


class Local:
    """The engine itself."""

    name = "local"
    processes = 1
    farewell_seconds = 0.0

    def hardware(self) -> Hardware:
        """One GPU at most: a single process does not use others."""
        machine = this_machine()
        return replace(machine, gpus=machine.gpus[:1])

    def command(self) -> Sequence[str]:
        return (sys.executable, "-m", ENGINE, str(os.getpid()))
