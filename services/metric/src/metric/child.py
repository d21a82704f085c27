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

from frames import store
from frames.frame import Frame

from metric import reference
from metric.domain.coverage import Prediction
from metric.domain.novelty import Reference, closeness

if TYPE_CHECKING:
    from dpa.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Job:
    """Predict `frames` with one branch of the model file; with `known` (a file) tell how close they are to it."""

    model: Path
    branch: str
    frames: Sequence[Frame]
    known: Path | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """Describe the training frames in `sample` (an LMDB folder) and write what is known of them to `target`."""

    model: Path
    branch: str
    sample: Path
    target: Path
    seed: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything is imported; models will run on `device` ('cpu', 'cuda')."""

    device: str


@dataclass(frozen=True, slots=True)
class Learned:
    """The target of the lesson is written."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The job could not be done. `lost`: nor can any other, by this process: its GPU no longer works for it."""

    reason: str
    details: str
    lost: bool = False


Answer = Prediction | Learned | Failure


def serve(jobs: Connection, environment: dict[str, str]) -> None:
    """Say Ready, then answer each job until the other end is closed."""
    end_with_parent()
    # Ctrl-C in a terminal reaches every process: the service decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    # What deepmd and torch say while they load is for people at a terminal, not for the service's log.
    logging.disable(logging.CRITICAL)
    loaded = _Loaded()
    try:
        jobs.send(Ready(loaded.warm().device()))
        while True:
            answer = _answer(loaded, jobs.recv())
            jobs.send(answer)
            if isinstance(answer, Failure) and answer.lost:
                return
            # A trainer may use the same GPU, and this process may not be asked again for hours.
            loaded.warm().give_memory_back()
    except (EOFError, OSError):
        return


def _answer(loaded: "_Loaded", job: Job | Lesson) -> Answer:
    try:
        return loaded.predict(job) if isinstance(job, Job) else loaded.learn(job)
    except Exception as error:  # whatever went wrong is told, and judged by who asked
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc(), lost=not loaded.warm().usable())


def end_with_parent() -> None:
    """A service that was killed cannot end its child, and long work must not outlive who asked for it."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Loaded:
    """The branches of the newest model that was asked for, and what it was trained on."""

    def __init__(self) -> None:
        self._model: Path | None = None
        self._branches: dict[str, Predictor] = {}
        self._known: tuple[Path, Reference] | None = None

    def warm(self) -> Any:
        """Import deepmd: here, since whoever imports this module to start the process must stay light."""
        from dpa import predictor

        return predictor

    def predict(self, job: Job) -> Prediction:
        found = self._branch(job).predict(job.frames, descriptors=job.known is not None)
        close = None
        if job.known is not None and found.descriptors is not None:
            close = closeness(self._reference(job.known), [frame.numbers for frame in job.frames], found.descriptors)
        return Prediction(found.energy, list(found.forces), self.warm().device(), list(found.virial), close)

    def learn(self, lesson: Lesson) -> Learned:
        found = reference.learn(self._branch(lesson), store.read(lesson.sample), lesson.seed)
        reference.save(found, lesson.target)
        return Learned()

    def _branch(self, job: Job | Lesson) -> "Predictor":
        if job.model != self._model:
            self._branches.clear()
            self._model = job.model
        if job.branch not in self._branches:
            self._branches[job.branch] = self.warm().Predictor(job.model, job.branch)
        return self._branches[job.branch]

    def _reference(self, path: Path) -> Reference:
        if self._known is None or self._known[0] != path:
            self._known = path, reference.load(path)
        return self._known[1]
