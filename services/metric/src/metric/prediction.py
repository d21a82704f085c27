"""Predictions of the current model, from warm child processes that are started anew whenever they die."""

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from dpa.environment import environment
from frames.frame import FloatArray, Frame
from kit.logs import get_logger

from metric.child import Answer, Failure, Job, Learned, Lesson, Ready, serve
from metric.domain.coverage import Prediction
from metric.domain.novelty import Closeness

log = get_logger(__name__)

_TRIES = 2
# Atoms in one job: enough that asking costs nothing, few enough that several processes end together and that
# neither a pipe nor a child holds more than a part of the frames.
_CHUNK_ATOMS = {"cpu": 2048, "cuda": 65536}
_MOST_PROCESSES = 4


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
        self._device: str | None = None

    async def __aenter__(self) -> "PredictionProcess":
        self._start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.to_thread(self._end)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def device(self) -> str:
        """Where models run: 'cpu' or 'cuda'; known when deepmd is imported. Raises PredictionFailed."""
        async with self._turn:
            return (await self._asked("device", None))[0]

    async def predict(self, model: Path, branch: str, frames: Sequence[Frame], known: Path | None = None) -> Prediction:
        """Zero-shot energies and forces; with `known` (made by `learn`) how close the frames are to training frames.

        Raises PredictionFailed. A process that dies (out of memory, killed) or whose GPU fails it is replaced and asked
        once more; what it does to a second one is no accident.
        """
        answer = await self._done(Job(model, branch, frames, known))
        if not isinstance(answer, Prediction):
            raise TypeError(f"a prediction was asked for, not {type(answer).__name__}")
        if not (np.isfinite(answer.energy).all() and all(np.isfinite(forces).all() for forces in answer.forces)):
            raise PredictionFailed(f"branch {branch} of {model.name} predicts numbers that are not finite")
        if answer.closeness is not None and not np.isfinite(answer.closeness.means).all():
            raise PredictionFailed(f"descriptors of {model.name} are not finite")
        return answer

    async def learn(self, model: Path, branch: str, sample: Path, target: Path, seed: int) -> None:
        """Write to `target` what the model's training frames in `sample` look like to it. Raises PredictionFailed."""
        await self._done(Lesson(model, branch, sample, target, seed))

    async def _done(self, job: Job | Lesson) -> Prediction | Learned:
        async with self._turn:
            answer = (await self._asked(job.branch, job))[1]
        if isinstance(answer, Failure):
            log.error("prediction-failed", branch=job.branch, reason=answer.reason, details=answer.details)
            raise PredictionFailed(f"branch {job.branch} of {job.model.name} cannot predict: {answer.reason}")
        if answer is None:
            raise TypeError("a job has an answer")
        return answer

    async def _asked(self, about: str, job: Job | Lesson | None) -> tuple[str, Answer | None]:
        for attempt in range(1, _TRIES + 1):
            try:
                return await asyncio.to_thread(self._ask, job)
            except _ChildLost as error:
                log.warning("prediction-process-lost", branch=about, attempt=attempt, error=str(error))
                await asyncio.to_thread(self._end)
                if attempt == _TRIES:
                    raise PredictionFailed(f"branch {about}: {error}, {_TRIES} times in a row") from error
                self._start()
            except asyncio.CancelledError:
                # The thread still waits for an answer that nobody wants: end what it waits for.
                self._end()
                raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._jobs, theirs = context.Pipe()
        self._device = None
        self._process = context.Process(
            target=serve, args=(theirs, self._environment), name="metric-prediction", daemon=True
        )
        self._process.start()
        # Only the child holds its end now: when it dies, reading here ends instead of waiting for ever.
        theirs.close()

    def _ask(self, job: Job | Lesson | None) -> tuple[str, Answer | None]:
        """(device, answer); no job, no answer: then it is asked whether it is ready."""
        if self._process is None or self._jobs is None or not self._process.is_alive():
            self._end()
            self._start()
        process, jobs = self._process, self._jobs
        if process is None or jobs is None:
            raise RuntimeError("the prediction process was not started")
        try:
            if self._device is None:
                ready: Ready = self._received(jobs)
                self._device = ready.device
            if job is None:
                return self._device, None
            jobs.send(job)
            answer: Answer = self._received(jobs)
        except (EOFError, OSError) as error:
            process.join(5)
            raise _ChildLost(f"the prediction process ended with exit code {process.exitcode}") from error
        if isinstance(answer, Failure) and answer.lost:
            log.error("prediction-device-lost", reason=answer.reason, details=answer.details)
            raise _ChildLost(answer.reason)
        return self._device, answer

    def _received(self, jobs: Connection) -> Any:
        if not jobs.poll(self._timeout_seconds):
            raise _ChildLost(f"the prediction process gave no answer in {self._timeout_seconds:g} s")
        return jobs.recv()

    def _end(self) -> None:
        # The process first: a thread that reads from it then sees the end, and does not wait on a closed pipe.
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None
        self._device = None


class PredictionPool:
    """On a CPU up to `processes` prediction processes, on a GPU one. Use as `async with`.

    The first is warm from the start, the others are started when there is first more than one part to predict, and
    join when they have imported deepmd. Which process predicts a part changes nothing in the numbers.
    """

    def __init__(self, processes: int, threads: int, timeout_seconds: float) -> None:
        """`processes` 0: one a core that this process may use, at most four."""
        count = processes or min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)
        self._first = PredictionProcess(threads, timeout_seconds)
        self._helpers = [PredictionProcess(threads, timeout_seconds) for _ in range(count - 1)]
        self._ready: dict[PredictionProcess, asyncio.Task[str]] = {}

    async def __aenter__(self) -> "PredictionPool":
        await self._first.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._ready.values():
            task.cancel()
        await asyncio.gather(*self._ready.values(), return_exceptions=True)
        for process in (self._first, *self._helpers):
            await process.__aexit__(*error)

    async def predict(self, model: Path, branch: str, frames: Sequence[Frame], known: Path | None = None) -> Prediction:
        """As PredictionProcess.predict, by all processes together. Raises PredictionFailed."""
        device = await self._first.device()
        parts = list(_parts(frames, _CHUNK_ATOMS[device]))
        todo = list(enumerate(parts))[::-1]
        done: dict[int, Prediction] = {}

        async def work(process: PredictionProcess) -> None:
            while todo:
                number, positions = todo.pop()
                done[number] = await process.predict(model, branch, [frames[one] for one in positions], known)

        async def join_in(helper: PredictionProcess, ready: asyncio.Task[str]) -> None:
            await asyncio.shield(ready)
            await work(helper)

        helpers = self._started(device) if len(parts) > 1 else {}
        tasks = {asyncio.create_task(join_in(helper, ready)): ready for helper, ready in helpers.items()}
        try:
            await work(self._first)
            for task, ready in tasks.items():
                if not ready.done():
                    task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome
        finally:
            for task in tasks:
                task.cancel()
        return _joined(len(frames), parts, [done[number] for number in range(len(parts))], device)

    async def learn(self, model: Path, branch: str, sample: Path, target: Path, seed: int) -> None:
        """As PredictionProcess.learn."""
        await self._first.learn(model, branch, sample, target, seed)

    def _started(self, device: str) -> dict[PredictionProcess, asyncio.Task[str]]:
        """The helpers, each with the task that ends when it is ready."""
        if device != "cpu":
            return {}
        for helper in self._helpers:
            task = self._ready.get(helper)
            if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
                self._ready[helper] = asyncio.create_task(helper.device())
        return self._ready


def _parts(frames: Sequence[Frame], most_atoms: int) -> Iterator[list[int]]:
    """Positions of frames that are predicted together, those of one size side by side: they share batches."""
    order = sorted(range(len(frames)), key=lambda one: (frames[one].natoms, frames[one].cell is None))
    part: list[int] = []
    atoms = 0
    for position in order:
        if part and atoms + frames[position].natoms > most_atoms:
            yield part
            part, atoms = [], 0
        part.append(position)
        atoms += frames[position].natoms
    if part:
        yield part


def _joined(count: int, parts: Sequence[list[int]], predictions: Sequence[Prediction], device: str) -> Prediction:
    """The predictions of the parts in the order of the frames."""
    energy: FloatArray = np.zeros(count)
    forces: list[FloatArray] = [np.zeros((0, 3))] * count
    virial: list[FloatArray] = [np.zeros((3, 3))] * count
    for positions, found in zip(parts, predictions, strict=True):
        energy[positions] = found.energy
        for row, position in enumerate(positions):
            forces[position] = found.forces[row]
            if found.virial is not None:
                virial[position] = found.virial[row]
    close = [found.closeness for found in predictions if found.closeness is not None]
    closeness = None
    if close:
        back = np.argsort(np.concatenate(parts))
        distance = np.concatenate([one.distance for one in close])[back]
        closeness = Closeness(distance, np.concatenate([one.means for one in close])[back])
    return Prediction(energy, forces, device, virial, closeness)
