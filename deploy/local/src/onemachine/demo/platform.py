"""The demo's own platform: fresh state, free ports, one supervisor that ends with the demo."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from onemachine import report
from onemachine.commands import REPORT
from onemachine.demo.outcome import DemoFailed
from onemachine.lock import StateLock
from onemachine.process import Command, running

START_SECONDS = 180.0
# The forces of the demo's water do not sum to zero: up to 37 meV/Å an atom, from a plane-wave cutoff chosen for speed
# (deploy/demo/README.md). The default of 10 would rightly turn it away.
SETTINGS = {"POTLUCK_METRIC_NET_FORCE_FAIL_MEV_PER_ANGSTROM": "50"}
LOG_LINES = 15


@dataclass(frozen=True)
class Platform:
    """A platform that runs."""

    site: str
    supervisor: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Raises DemoFailed with the end of the supervisor's log."""
        if self.supervisor.poll() is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise DemoFailed(f"the platform stopped; {self.log} ends:\n" + "\n".join(lines))


def fresh(folder: Path) -> None:
    """Removes what an earlier demo left. Raises DemoFailed while that one still runs."""
    holder = StateLock(folder / "state").holder()
    if holder is not None:
        raise DemoFailed(
            f"another demo runs at {holder.address} (supervisor pid {holder.pid}) in {folder}. Stop it with Ctrl-C"
            f" where it runs, or: python -m onemachine down --state {folder / 'state'}"
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """Every service on fresh state while the block runs. Raises CannotStart."""
    state = folder / "state"
    log = folder / "platform.log"
    arguments = [sys.executable, "-m", "onemachine", "up", "--state", str(state), "--free-ports"]

    def ready() -> bool:
        try:
            rows = report.read(state / REPORT)
        except FileNotFoundError:
            return False
        return all(row["ready"] for row in rows.values())

    command = Command(arguments, environment={**SETTINGS, **os.environ}, folder=Path.cwd())
    with running(command, ready, log, timeout=START_SECONDS) as supervisor:
        holder = StateLock(state).holder()
        if holder is None:
            raise DemoFailed(f"the platform ended right after its start; see {log}")
        yield Platform(holder.address, supervisor, log)
