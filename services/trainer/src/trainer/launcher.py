"""How a training program starts: here, on several GPUs or nodes, or as a job of a cluster. One file each in launchers/.

Whatever a launcher starts is a child of the worker that keeps the engine's promises: it says `ready`, takes the
attempt's folder on standard input, tells progress, checkpoints and its end as JSON lines, saves a checkpoint on
SIGTERM and says `stopped`, and leaves nothing running when it has ended. What it announces lies in the folder.
"""

from collections.abc import Sequence
from typing import Protocol

from trainer.hardware import Hardware


class Launcher(Protocol):
    """Of the worker's point of view."""

    @property
    def name(self) -> str:
        """As the setting spells it."""

    @property
    def processes(self) -> int:
        """That train together."""

    @property
    def farewell_seconds(self) -> float:
        """How long a child that must end at once (SIGHUP) may take to end what runs elsewhere before it is killed."""

    def hardware(self) -> Hardware:
        """What training runs on; may ask the machine."""

    def command(self) -> Sequence[str]:
        """The program to start, told which process it must not outlive."""
