"""Child processes of a worker: the training program and the verification."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

from dpa.environment import environment
from kit.logs import get_logger
from pydantic import ValidationError

from trainer.child import CRASHED, OUT_OF_MEMORY, AttemptFailed
from trainer.launcher import Launcher
from trainer.memory import kernel_kills
from trainer.work import MESSAGE, Message, Ready

log = get_logger(__name__)

ENGINE = "trainer.engine"
VERIFY = "trainer.verify"
SCORE = "trainer.score"
STDERR_LINES = 40
_LINE_LIMIT = 1 << 22


class Child:
    """A program that is started ahead of its work; it dies with this process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, farewell_seconds: float = 0) -> None:
        self._name = name
        self._farewell_seconds = farewell_seconds
        self._process = process
        self._errors: deque[str] = deque(maxlen=STDERR_LINES)
        self._drain = asyncio.create_task(self._read_errors())
        self._kills = kernel_kills()

    @classmethod
    async def start(cls, name: str, threads: int, command: Sequence[str] = (), farewell_seconds: float = 0) -> "Child":
        """`python -m <name>`, unless a command is given."""
        # Secrets of the worker are no business of a program that reads strangers' data.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
        process = await asyncio.create_subprocess_exec(
            *(command or (sys.executable, "-m", name, str(os.getpid()))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**inherited, **environment(threads)},
            limit=_LINE_LIMIT,
        )
        return cls(name, process, farewell_seconds)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def failure(self) -> AttemptFailed:
        """Why it ended without a word, with the end of what it wrote to standard error."""
        code = self._process.returncode
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        rule = CRASHED
        if code == -signal.SIGKILL:
            kills = kernel_kills()
            if kills is not None and self._kills is not None and kills > self._kills:
                rule = OUT_OF_MEMORY
                how += ": the kernel killed it because memory ran out; a larger worker may manage"
            else:
                how += " (the kernel does that when memory runs out)"
        return AttemptFailed(rule, "\n".join([f"{self._name} ended with {how}", *self._errors]), retryable=True)

    async def work(self, folder: Path) -> AsyncGenerator[Message]:
        """Give it its folder and yield what it says until it ends."""
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018
        with suppress(ConnectionError):  # dead already: its output ends at once
            self._process.stdin.write(f"{folder.absolute()}\n".encode())
            await self._process.stdin.drain()
        while line := await self._process.stdout.readline():
            try:
                message = MESSAGE.validate_json(line)
            except ValidationError as error:
                log.warning("child-spoke-nonsense", program=self._name, line=line[:200].decode(), error=str(error))
                continue
            if not isinstance(message, Ready):
                yield message
        await self._process.wait()
        await self._drain

    def terminate(self) -> None:
        """Ask it to stop; the training program saves a checkpoint first."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def kill(self) -> None:
        """End it at once and reap it; one with something running elsewhere may say farewell. Repeating is harmless."""
        if self._farewell_seconds and self.alive:
            self._process.send_signal(signal.SIGHUP)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), self._farewell_seconds)
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._drain

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        while line := await self._process.stderr.readline():
            text = line.decode(errors="replace").rstrip()
            self._errors.append(text)
            log.debug("child-stderr", program=self._name, line=text)


class Nursery:
    """Keeps one child of each kind ready when it may, so that imports are done before work comes.

    How the training program starts is the launcher's business; the verification always runs here.
    """

    def __init__(self, launcher: Launcher, threads: int, *, warm: bool) -> None:
        self._launcher = launcher
        self._threads = threads
        self._warm = warm
        self._spare: dict[str, Child] = {}

    async def prepare(self, module: str) -> None:
        """Start one ahead, unless one waits or that is switched off."""
        if not self._warm or ((spare := self._spare.get(module)) and spare.alive):
            return
        self._spare[module] = await self._start(module)

    async def take(self, module: str) -> Child:
        """The one that waits, or a new one."""
        spare = self._spare.pop(module, None)
        if spare is not None and spare.alive:
            return spare
        return await self._start(module)

    async def _start(self, module: str) -> Child:
        if module != ENGINE:
            return await Child.start(module, self._threads)
        launcher = self._launcher
        return await Child.start(module, self._threads, launcher.command(), launcher.farewell_seconds)

    async def close(self) -> None:
        for child in self._spare.values():
            await child.kill()
        self._spare.clear()
