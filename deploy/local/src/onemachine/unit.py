"""One supervised process: started, probed until it answers, started again when it ends."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from onemachine.errors import CannotStart
from onemachine.process import Command

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
# Having lasted this long, a process that ends has had a bad moment, not a bad configuration.
STEADY_SECONDS = 30.0
TRIES_TO_START = 6
PROBE_SECONDS = 0.1
GRACE_SECONDS = 25.0
LOGS_KEPT = 5


class Unit:
    """`answers` is called in a thread; True means ready. `changed` is told of every change of state."""

    def __init__(self, name: str, command: Command, answers: Callable[[], bool], log: Path) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.ready = asyncio.Event()
        self.starts = 0
        self.pid: int | None = None
        self.changed: Callable[[str], None] = lambda _sentence: None
        self._answers = answers
        self._child: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Keep it running until cancelled. Raises CannotStart when it never became ready in several tries."""
        rotate(self.log)
        delay = FIRST_DELAY_SECONDS
        was_ready = False
        while True:
            began = time.monotonic()
            code = await self._run_once()
            was_ready = was_ready or self.ready.is_set()
            self.ready.clear()
            if not was_ready and self.starts >= TRIES_TO_START:
                raise CannotStart(f"{self.name} ended {self.starts} times while starting (code {code}); {self.tail()}")
            if time.monotonic() - began > STEADY_SECONDS:
                delay = FIRST_DELAY_SECONDS
            self.changed(f"{self.name} ended ({describe(code)}); again in {delay:.1f} s")
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _run_once(self) -> int:
        with self.log.open("ab") as output:
            child = await asyncio.create_subprocess_exec(
                *self.command.arguments, stdout=output, stderr=output, **self.command.popen()
            )
        self._child, self.pid = child, child.pid
        self.starts += 1
        probe = asyncio.create_task(self._probe())
        try:
            return await child.wait()
        finally:
            probe.cancel()
            if child.returncode is not None:
                self._bury(child.pid)

    async def _probe(self) -> None:
        while not await asyncio.to_thread(self._answers):  # noqa: ASYNC110 (a process has no event to wait for)
            await asyncio.sleep(PROBE_SECONDS)
        self.ready.set()
        self.changed(f"{self.name} ready")

    def _bury(self, pid: int) -> None:
        """End what the process left behind in its group: children of one that was killed."""
        self._child = self.pid = None
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end, wait, insist. Call when `run` has been cancelled."""
        child = self._child
        if child is None:
            return
        if child.returncode is None:
            child.send_signal(self.command.stop)
            try:
                await asyncio.wait_for(child.wait(), GRACE_SECONDS)
            except TimeoutError:
                self.changed(f"{self.name} did not stop within {GRACE_SECONDS:.0f} s: killed")
                child.kill()
                await child.wait()
        self._bury(child.pid)

    def tail(self, lines: int = 15) -> str:
        """The end of its log, for a message."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return f"{self.log} ends:\n" + "\n".join(f"    {line}" for line in text)


def describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def rotate(log: Path) -> None:
    """Keep the logs of the last runs as <log>.1 … <log>.5; the new run starts an empty one."""
    if not log.exists() or log.stat().st_size == 0:
        return
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))
