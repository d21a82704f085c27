"""`python -m dpa.remeasure <parent pid>`: measures branches of a model anew, in a process of its own.

One line of JSON on standard input (`Job`), one line on standard output for each branch, in its order:
{"branch", "frames", "numbers"} or {"branch", "error"}. It has no network where the kernel lets it take that from
itself, and what `remeasured` starts has none of the caller's credentials.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dpa.claims import Claim, Measured
from dpa.environment import environment

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
# What a program needs to find its interpreter, its libraries and its GPU; credentials live in other variables.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES")


class NotMeasured(RuntimeError):
    """The process ended before it was done; the text says how."""


def remeasured(model: Path, claims: Sequence[Claim], threads: int = 1) -> Iterator[Measured | str]:
    """Each claim's branch measured anew by a fresh process, or why it could not be. Raises NotMeasured."""
    job = {"model": str(model.absolute()), "branches": [wanted(one) for one in claims]}
    inherited = {name: value for name, value in os.environ.items() if name in _INHERITED}
    with subprocess.Popen(
        [sys.executable, "-m", "dpa.remeasure", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**inherited, **environment(threads)},
        text=True,
    ) as child:
        try:
            if child.stdin is None or child.stdout is None:
                raise NotMeasured("it has no pipes")
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps(job) + "\n")
                child.stdin.close()
            for claim in claims:
                line = child.stdout.readline()
                if not line:
                    raise NotMeasured(f"the measuring process ended at branch {claim.branch} ({_how(child.wait())})")
                told = json.loads(line)
                yield told["error"] if "error" in told else Measured.told(told)
        finally:
            child.kill()


def wanted(claim: Claim) -> dict[str, Any]:
    """What the measuring process is told of a branch: `branch.measured` reads it."""
    standard = claim.standard
    return {
        "branch": claim.branch,
        "held_out": str(claim.held_out.absolute()),
        "left_out": list(claim.left_out or ()),
        "element_energies": _plain(claim.element_energies),
        "train": None if claim.train is None else str(claim.train.absolute()),
        "fitted_to": None if claim.fitted_to is None else list(claim.fitted_to),
        "standard": None
        if standard is None
        else {
            "frames": list(standard.frames),
            "positions": None if standard.positions is None else list(standard.positions),
            "element_energies": _plain(standard.element_energies),
        },
    }


def _plain(energies: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if energies is None else dict(energies)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def main() -> int:
    _die_with_parent(int(sys.argv[1]))
    _leave_the_network()
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints is no answer
    job = json.loads(sys.stdin.readline())
    for one in job["branches"]:
        try:
            told = _measured(Path(job["model"]), one)
        except Exception as error:  # whatever it is, the caller says that this branch could not be measured
            told = {"branch": one["branch"], "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told) + "\n")
    return 0


def _measured(model: Path, one: dict[str, Any]) -> dict[str, Any]:
    # Seconds of imports; whoever imports this module for `remeasured` stays light.
    from dpa.branch import measured

    return measured(model, one)


def _die_with_parent(parent: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _leave_the_network() -> None:
    """Into a network namespace without any interface; as no root by way of a user namespace with the same user."""
    if not sys.platform.startswith("linux"):
        return
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    user, group = os.getuid(), os.getgid()
    if unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return
    with suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


if __name__ == "__main__":
    sys.exit(main())
