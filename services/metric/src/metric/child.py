"""The prediction process: imports deepmd once, then answers job after job.

It is a process of its own because importing deepmd takes seconds, because a model that takes all memory must
not take the service with it, and because a hanging call can only be ended from outside.
"""

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frames.frame import Frame

from metric.domain.coverage import Prediction

if TYPE_CHECKING:
    from dpa.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Job:
    """Predict `frames` with one branch of the model file."""

    model: Path
    branch: str
    frames: Sequence[Frame]


@dataclass(frozen=True, slots=True)
class Failure:
    """The job could not be done; the process lives."""

    reason: str
    details: str


def serve(jobs: Connection, environment: dict[str, str]) -> None:
    """Answer each Job with a Prediction or a Failure until the other end is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C in a terminal reaches every process: the service decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    # What deepmd and torch say while they load is for people at a terminal, not for the service's log.
    logging.disable(logging.CRITICAL)
    loaded = _Loaded()
    loaded.warm()
    while True:
        try:
            job = jobs.recv()
        except EOFError:
            return
        try:
            answer: Prediction | Failure = loaded.predict(job)
        except Exception as error:  # whatever went wrong is told, and judged by who asked
            answer = Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
        try:
            jobs.send(answer)
        except OSError:
            return


def _end_with_parent() -> None:
    """A service that was killed cannot end its child, and a long prediction must not outlive who asked for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Loaded:
    """The branches of the newest model that was asked for."""

    def __init__(self) -> None:
        self._model: Path | None = None
        self._branches: dict[str, Predictor] = {}

    def warm(self) -> Any:
        """Import deepmd: here, since whoever imports this module to start the process must stay light."""
        from dpa import predictor

        return predictor

    def predict(self, job: Job) -> Prediction:
        if job.model != self._model:
            self._branches.clear()
            self._model = job.model
        if job.branch not in self._branches:
            self._branches[job.branch] = self.warm().Predictor(job.model, job.branch)
        found = self._branches[job.branch].predict(job.frames)
        return Prediction(
            energy=found.energy, forces=list(found.forces), device=self.warm().device(), virial=list(found.virial)
        )
