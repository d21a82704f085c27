"""`python -m trainer.launchers.cluster <worker pid> <file>`: what a worker sees when training is a job elsewhere.

SIGTERM asks the training program for a checkpoint and deletes the job when it has come back; SIGHUP deletes it at once.
With `--check` the file is read and nothing is started.
"""

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from trainer.child import CRASHED, Emit, claim_stdout, die_with_parent, emitter, folder_from_stdin
from trainer.control import STOP
from trainer.launchers.dpdispatcher import ClusterSettings
from trainer.work import MESSAGE, Done, Failed, Message, Saved, Stopped

if TYPE_CHECKING:
    from trainer.launchers.job import ClusterJob

Result = TypeVar("Result")
JOB_LOST = "job-lost"
CLUSTER_AWAY = "cluster-away"
_KEPT_CHECKPOINTS = 3
_ERROR_LINES = 20
# The last lines may reach us after the queue has forgotten the job.
_LAST_WORDS_SECONDS = 5.0
_SHORT_PAUSE_SECONDS = 0.5


class Told:
    """What the worker asked for, from signal handlers. They write to a pipe, as locks are no business of theirs."""

    def __init__(self) -> None:
        self.stop = False
        self.delete = False
        self._changed, self._change = os.pipe()

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGHUP, self._hear)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def pause(self, seconds: float) -> None:
        """Until the worker says something new."""
        if select.select([self._changed], [], [], seconds)[0]:
            os.read(self._changed, 64)

    def _hear(self, number: int, _frame: object) -> None:
        self.stop |= number == signal.SIGTERM
        self.delete |= number == signal.SIGHUP
        os.write(self._change, b".")


class Away(Exception):
    """The cluster did not answer for too long."""


class Follower:
    """Follows one job to its end and tells what it says as if it ran here."""

    def __init__(self, job: "ClusterJob", folder: Path, settings: ClusterSettings, emit: Emit, told: Told) -> None:
        self._job = job
        self._folder = folder
        self._settings = settings
        self._emit = emit
        self._told = told
        self._fetched: list[Path] = []

    def run(self) -> None:
        """Ends with one last message, unless the worker asked for none."""
        self._persistently(self._job.stage)
        self._job.submit()
        print(f"{self._job.name} submitted, at {self._job.place}", file=sys.stderr)
        beat = 0
        while not self._told.delete:
            beat += 1
            self._persistently(partial(self._job.tell, STOP if self._told.stop else str(beat)))
            state = self._persistently(self._job.look)
            if self._heard():
                return
            if state == "ended":
                self._lost()
                return
            if state == "waiting" and self._told.stop:
                self._emit(Stopped(step=0))
                break
            self._told.pause(_SHORT_PAUSE_SECONDS if self._told.stop else self._settings.poll_seconds)
        self._end()

    def _heard(self) -> bool:
        """Pass on what is new; true after the last message."""
        for line in self._persistently(self._job.new_lines):
            try:
                message = MESSAGE.validate_json(line)
            except ValidationError:
                print(f"not a message: {line[:200]}", file=sys.stderr)
                continue
            if self._pass_on(message):
                return True
        return False

    def _pass_on(self, message: Message) -> bool:
        match message:
            case Saved():
                if self._persistently(partial(self._job.fetch, message.path)):
                    self._keep(message.path)
                    self._emit(message)
                return False
            case Done():
                self._persistently(self._job.download)
                self._emit(message)
                self._persistently(self._job.clean)
                return True
            case Stopped() | Failed():
                self._emit(message)
                self._end()
                return True
            case _:
                self._emit(message)
                return False

    def _keep(self, path: Path) -> None:
        """The newest few checkpoints, as the training program does."""
        if path not in self._fetched:
            self._fetched.append(path)
        while len(self._fetched) > _KEPT_CHECKPOINTS:
            (self._folder / self._fetched.pop(0)).unlink(missing_ok=True)

    def _lost(self) -> None:
        time.sleep(_LAST_WORDS_SECONDS)
        if self._heard():
            return
        if self._told.stop:
            self._emit(Stopped(step=0))
            return
        errors = "\n".join(self._persistently(lambda: self._job.last_errors(_ERROR_LINES)))
        reason = f"{self._job.name} ended before training was done (its folder is kept: {self._job.place})\n{errors}"
        self._emit(Failed(rule=JOB_LOST, reason=reason.strip(), retryable=True))

    def _end(self) -> None:
        """Nothing of the attempt stays there."""
        self._persistently(lambda: self._job.tell(STOP))
        self._persistently(self._job.delete)
        self._persistently(self._job.clean)

    def _persistently(self, call: Callable[[], Result]) -> Result:
        """Repeat while the cluster is out of reach. dpdispatcher tells that in many ways. Raises Away."""
        end = time.monotonic() + self._settings.away_seconds
        while True:
            try:
                return call()
            except Exception as error:
                traceback.print_exc()
                if time.monotonic() > end or self._told.delete:
                    raise Away(f"{type(error).__name__}: {error}") from error
                self._told.pause(self._settings.poll_seconds)


def main(arguments: list[str]) -> int:
    """Exit codes: 0 done, stopped or deleted; 1 failed (a message says why), or a wrong file."""
    if arguments[0] == "--check":
        return _check(Path(arguments[1]))
    parent, file = int(arguments[0]), Path(arguments[1])
    die_with_parent(parent)
    emit = emitter(claim_stdout())
    told = Told()
    told.listen()
    folder = folder_from_stdin(emit)
    if folder is None or told.stop or told.delete:
        return 0
    os.chdir(folder)  # dpdispatcher writes a log wherever it is imported
    from trainer.launchers.job import ClusterJob

    try:
        settings = ClusterSettings.load(file)
        job = ClusterJob(settings, folder, threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
        Follower(job, folder, settings, emit, told).run()
    except Away as error:
        emit(Failed(rule=CLUSTER_AWAY, reason=f"the cluster does not answer: {error}", retryable=True))
        return 1
    except Exception as error:  # whatever it is, the worker must hear of it
        traceback.print_exc()
        reason = f"the job could not be carried out: {type(error).__name__}: {error}"
        emit(Failed(rule=CRASHED, reason=reason, retryable=True))
        return 1
    return 0


def _check(file: Path) -> int:
    sys.stdout = sys.stderr  # dpdispatcher's log
    from trainer.launchers.job import machine_and_resources

    try:
        machine_and_resources(ClusterSettings.load(file), Path.cwd())
    except Exception as error:  # a checker's errors are of many kinds
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
