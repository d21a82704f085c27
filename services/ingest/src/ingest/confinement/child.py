"""What runs inside a confined child: `python -I -m ingest.confinement.child <parent pid> <import>…`.

The child imports what it was told (so that it can be started before there is work), waits for one job on
standard input, puts up its walls and does the job. A job is one line of JSON:
{"task": "module:function", "arguments": {…}, "inputs": [path], "outputs": [path], "readable": [path],
"writable": path or null, "limits": {…}}. The function gets (arguments, inputs, outputs), the files opened.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from ingest.confinement.kernel import Limits, confine, die_with_parent

# Besides Python itself: what numerical libraries look at when they are used, and the dynamic linker.
_SYSTEM = ("/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")


def main() -> int:
    """Does one job and ends the process; returns only when there was none."""
    die_with_parent(int(sys.argv[1]))
    for argument in sys.argv[2:]:
        if argument.startswith("/"):
            sys.path.append(argument)
        else:
            importlib.import_module(argument)
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    _perform(json.loads(line))
    # Outputs are unbuffered, so nothing is left to do: taking down dpdata's thousand modules costs half a second.
    sys.stderr.flush()
    os._exit(0)


def _perform(job: dict[str, Any]) -> None:
    module, _, name = job["task"].partition(":")
    task = getattr(importlib.import_module(module), name)
    # Open until the child ends, which is when the job does.
    inputs = [Path(path).open("rb") for path in job["inputs"]]  # noqa: SIM115
    # Unbuffered: what was reported before a crash must be there.
    outputs = [Path(path).open("xb", buffering=0) for path in job["outputs"]]  # noqa: SIM115
    readable = [Path(path) for path in (*_python_folders(), *_SYSTEM, *_DEVICES, *job["readable"])]
    writable = Path(job["writable"]) if job["writable"] else None
    walls = confine(Limits(**job["limits"]), readable, writable)
    task({**job["arguments"], "walls": walls}, inputs, outputs)


def _python_folders() -> list[str]:
    return [sys.prefix, sys.base_prefix, *(path for path in sys.path if path.startswith("/"))]


if __name__ == "__main__":
    sys.exit(main())
