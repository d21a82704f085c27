"""How a child process is started: who it runs as, and that it dies with its parent."""

import ctypes
import os
import pwd
import secrets
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from onemachine.errors import CannotStart

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
# Above those of well-known programs.
_LOWEST_PORT = 20_000
_TRIES = 100


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


class Identity(Enum):
    """Who a child runs as."""

    SAME = "the user who started us"
    NOBODY = "the unprivileged user 'nobody'"
    # Outside the namespace it is still our user, so every file that we can reach stays within reach;
    # inside it has no privilege at all, and a name in /etc/passwd.
    NAMESPACE = "our user, seen as 'nobody' inside a user namespace of its own"

    def owner(self) -> tuple[int, int]:
        """(uid, gid) that must own, on disk, what the child writes."""
        return _nobody() if self is Identity.NOBODY else (os.geteuid(), os.getegid())


def closed_folder(path: Path) -> Path | None:
    """The first folder on the way to `path` (resolved) that 'nobody' cannot enter, or none."""
    uid, gid = _nobody()
    real = path.resolve()
    for folder in [*reversed(real.parents), real]:
        status = folder.stat()
        if not stat.S_ISDIR(status.st_mode):
            continue
        bit = stat.S_IXOTH
        if status.st_uid == uid:
            bit = stat.S_IXUSR
        elif status.st_gid == gid:
            bit = stat.S_IXGRP
        if not status.st_mode & bit:
            return folder
    return None


def namespaces_allowed() -> bool:
    """Whether this user may open a user namespace (containers and some distributions forbid it)."""
    child = os.fork()
    if child == 0:
        try:
            _enter_namespace()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    inner_uid, inner_gid = _nobody()
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    # Without this the kernel lets nobody but a privileged parent write the group map.
    for name, line in (("setgroups", "deny"), ("uid_map", f"{inner_uid} {uid} 1"), ("gid_map", f"{inner_gid} {gid} 1")):
        Path("/proc/self", name).write_text(line)


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run in the foreground. `environment` is all that it sees of the environment."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    identity: Identity = Identity.SAME
    stop: signal.Signals = signal.SIGTERM
    on_orphaned: signal.Signals = signal.SIGKILL

    def popen(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess.Popen` or asyncio's `create_subprocess_exec`."""
        return {
            "env": dict(self.environment),
            "cwd": self.folder,
            "start_new_session": True,  # Ctrl-C reaches us alone: we stop the children in order
            "preexec_fn": self._before_exec(os.getpid()),
        }

    def _before_exec(self, parent: int) -> Callable[[], None]:
        def prepare() -> None:
            if self.identity is Identity.NOBODY:
                uid, gid = _nobody()
                os.setgroups([])
                os.setgid(gid)
                os.setuid(uid)
            elif self.identity is Identity.NAMESPACE:
                _enter_namespace()
            # After the change of user, which clears it. The parent may have died in between.
            _LIBC.prctl(_PR_SET_PDEATHSIG, self.on_orphaned)
            if os.getppid() != parent:
                os._exit(1)

        return prepare


@contextmanager
def running(
    command: Command, answers: Callable[[], bool], log: Path, timeout: float = 60
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the block lasts; it `answers` when the block begins. Raises CannotStart."""
    with log.open("ab") as output:
        child = subprocess.Popen(command.arguments, stdout=output, stderr=subprocess.STDOUT, **command.popen())
    try:
        deadline = time.monotonic() + timeout
        while not answers():
            if child.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"{command.arguments[0]} did not start; its log ends:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield child
    finally:
        child.send_signal(command.stop)
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now.

    A port that the kernel may give to any passing connection would be lost while its server starts again: where there
    is room, ours are no such.
    """
    candidates = choosable_ports()
    for _ in range(_TRIES if candidates else 0):
        with socket.socket() as probe, suppress(OSError):
            port = secrets.choice(candidates)
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        any_port: int = probe.getsockname()[1]
        return any_port


def choosable_ports(kernels_own: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")) -> range:
    """Ports below those that the kernel gives out by itself; none where it leaves no room."""
    try:
        lowest = int(kernels_own.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return range(0)
    return range(_LOWEST_PORT, max(lowest, _LOWEST_PORT))
