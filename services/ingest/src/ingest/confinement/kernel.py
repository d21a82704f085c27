"""The walls around a child, put up by itself before it touches anything: Linux only, no library needed.

Layers, each of which holds when another is missing: an unprivileged user (when started as root), resource
limits, no new privileges, Landlock (files, network, signals; kernel 5.13 and later), seccomp.
"""

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ingest.confinement import seccomp

CHILD_UID = 65533  # not 65534, "nobody", which others run under as well

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_SECCOMP_MODE_FILTER = 2
# The same number on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 1 << 2

_READ_FILE, _READ_DIR, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
_READ = _READ_FILE | _READ_DIR
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REGULAR = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR | _REFER | _TRUNCATE
_RULE_PATH_BENEATH = 1


class ConfinementFailed(RuntimeError):
    """A wall could not be put up; the child must not read anything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int
    open_files: int = 256
    processes: int = 64


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when its parent ends; exit at once if it has ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)


def confine(limits: Limits, readable: Iterable[Path], writable: Path | None) -> str:
    """Put up every wall around this process, for good; returns which ones, in words for the log.

    `readable` may be read, `writable` (made over to the child's user) written; nothing else on the machine.
    Raises ConfinementFailed.
    """
    parent = os.getppid()
    readable = [path for path in readable if path.exists()]
    ruleset = _landlock_ruleset(readable, writable)
    if os.getuid() == 0:
        _become_unprivileged(readable, writable, landlocked=ruleset is not None)
    # A change of user clears the death signal.
    die_with_parent(parent)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if ruleset is not None:
        _checked(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
        os.close(ruleset)
    _limit(limits)
    _filter_calls(may_write=writable is not None)
    return f"uid {os.getuid()}, landlock {'on' if ruleset is not None else 'not in this kernel'}, seccomp on"


def _limit(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # At the soft limit of processor time the child gets SIGXCPU, which tells it from other deaths.
        margin = 5 if kind == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else 0
        resource.setrlimit(kind, (value, value + margin))


def _become_unprivileged(readable: Iterable[Path], writable: Path | None, landlocked: bool) -> None:
    """From root to CHILD_UID.

    An interpreter under /root is closed to other users. With Landlock in place the child then keeps the one
    capability to read past file modes, which Landlock still confines to `readable`.
    """
    closed = [path for path in (*readable, *([writable] if writable else [])) if not _open_to_all(path)]
    if closed and not landlocked:
        raise ConfinementFailed(
            f"{closed[0]} cannot be read by an unprivileged user and this kernel has no Landlock: install Python"
            " and the working folder where every user may read, or do not run as root"
        )
    if writable is not None:
        os.chown(writable, CHILD_UID, CHILD_UID)
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(CHILD_UID, CHILD_UID, CHILD_UID)
    os.setresuid(CHILD_UID, CHILD_UID, CHILD_UID)
    kept = _CAP_DAC_READ_SEARCH if closed else 0
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable; each in two words
    data = struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        raise ConfinementFailed(f"capset has no known number on {os.uname().machine}")
    _checked(_libc.syscall(number, header, data), "capset")


def _open_to_all(path: Path) -> bool:
    """Whether every user may reach and read it."""
    real = path.resolve()
    if not real.stat().st_mode & 0o004:
        return False
    return all(parent.stat().st_mode & 0o001 for parent in real.parents)


def _landlock_ruleset(readable: Iterable[Path], writable: Path | None) -> int | None:
    """A descriptor of the rules; None when this kernel has no Landlock."""
    version = _libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return None
    handled = (1 << 13) - 1
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    handled |= 1 << 15 if version >= 5 else 0  # ioctl on devices
    # TCP bind and connect since version 4; abstract sockets and signals outside since version 6.
    fields = (handled, *((3,) if version >= 4 else ()), *((3,) if version >= 6 else ()))
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset: int = _libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    _checked(ruleset, "landlock_create_ruleset")
    for path in readable:
        _allow(ruleset, path, _READ & handled)
    if writable is not None:
        _allow(ruleset, writable, _WRITE & handled)
    return ruleset


def _allow(ruleset: int, path: Path, access: int) -> None:
    if not path.is_dir():
        access &= _READ_FILE | _WRITE_FILE | _TRUNCATE
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", access, descriptor)
        _checked(_libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0), "landlock_add_rule")
    finally:
        os.close(descriptor)


def _filter_calls(may_write: bool) -> None:
    code = seccomp.program(os.getpid(), may_write)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: unsigned short len; struct sock_filter *filter
    fprog = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, fprog, 0, 0), "seccomp")


def _prctl(option: int, value: int) -> None:
    _checked(_libc.prctl(option, value, 0, 0, 0), f"prctl({option})")


def _checked(result: int, call: str) -> None:
    if result < 0:
        raise ConfinementFailed(f"{call}: {os.strerror(ctypes.get_errno())}")
