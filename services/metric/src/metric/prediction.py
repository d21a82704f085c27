"""Predictions of the current model, from a warm child process that is started anew whenever it dies."""

import asyncio
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from dpa.environment import environment
from frames.frame import Frame
from kit.logs import get_logger

from metric.child import Failure, Job, serve
from metric.domain.coverage import Prediction

log = get_logger(__name__)

_TRIES = 2


class PredictionFailed(RuntimeError):
    """The model gave no usable prediction. Our fault, never the dataset's: no verdict may follow from it."""


class _ChildLost(Exception):
    """The prediction process ended, or had to be ended, while it worked."""


class PredictionProcess:
    """One child process, one job at a time. Use as `async with`."""

    def __init__(self, threads: int, timeout_seconds: float) -> None:
        self._environment = environment(threads)
        self._timeout_seconds = timeout_seconds
        self._turn = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._jobs: Connection | None = None

    async def __aenter__(self) -> "PredictionProcess":
        self._start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.to_thread(self._end)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def predict(self, model: Path, branch: str, frames: Sequence[Frame]) -> Prediction:
        """Zero-shot energies and forces. Raises PredictionFailed.

        A process that dies (out of memory, killed) is replaced and asked once more; what it does to a second one is
        no accident.
        """
        job = Job(model, branch, frames)
        async with self._turn:
            for attempt in range(1, _TRIES + 1):
                try:
                    answer = await asyncio.to_thread(self._ask, job)
                    break
                except _ChildLost as error:
                    log.warning("prediction-process-lost", branch=branch, attempt=attempt, error=str(error))
                    await asyncio.to_thread(self._end)
                    if attempt == _TRIES:
                        raise PredictionFailed(f"branch {branch}: {error}, {_TRIES} times in a row") from error
                    self._start()
                except asyncio.CancelledError:
                    # The thread still waits for an answer that nobody wants: end what it waits for.
                    self._end()
                    raise
        if isinstance(answer, Failure):
            log.error("prediction-failed", branch=branch, reason=answer.reason, details=answer.details)
            raise PredictionFailed(f"branch {branch} of {model.name} cannot predict: {answer.reason}")
        if not (np.isfinite(answer.energy).all() and all(np.isfinite(forces).all() for forces in answer.forces)):
            raise PredictionFailed(f"branch {branch} of {model.name} predicts numbers that are not finite")
        return answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._jobs, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, self._environment), name="metric-prediction", daemon=True
        )
        self._process.start()
        # Only the child holds its end now: when it dies, reading here ends instead of waiting for ever.
        theirs.close()

    def _ask(self, job: Job) -> Prediction | Failure:
        if self._process is None or self._jobs is None or not self._process.is_alive():
            self._end()
            self._start()
        process, jobs = self._process, self._jobs
        if process is None or jobs is None:
            raise RuntimeError("the prediction process was not started")
        try:
            jobs.send(job)
            if not jobs.poll(self._timeout_seconds):
                raise _ChildLost(f"the prediction process gave no answer in {self._timeout_seconds:g} s")
            answer: Prediction | Failure = jobs.recv()
        except (EOFError, OSError) as error:
            process.join(5)
            raise _ChildLost(f"the prediction process ended with exit code {process.exitcode}") from error
        return answer

    def _end(self) -> None:
        # The process first: a thread that reads from it then sees the end, and does not wait on a closed pipe.
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None
