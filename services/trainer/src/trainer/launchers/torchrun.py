"""Several processes that train together: the GPUs of a node, or of several nodes that share the work folder.

`python -m trainer.launchers.torchrun <worker pid> …` is the child that the worker sees. It starts torchrun when the
attempt's folder is known; the process of rank 0 speaks for all.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.child import claim_stdout, die_with_parent, emitter, folder_from_stdin, kill_with_parent
from trainer.hardware import Hardware, this_machine
from trainer.peers import SAID, failure_of_another
from trainer.process import ENGINE


@dataclass(frozen=True, slots=True)
class Torchrun:
    """`prefix` starts a program on every node (`srun --ntasks-per-node=1`); they meet at `endpoint`."""

    processes_per_node: int
    nodes: int = 1
    prefix: tuple[str, ...] = ()
    endpoint: str | None = None

    @property
    def name(self) -> str:
        return "torchrun"

    @property
    def processes(self) -> int:
        return self.processes_per_node * self.nodes

    @property
    def farewell_seconds(self) -> float:
        """What runs on other nodes does not end with a process of this one."""
        return 10.0 if self.prefix else 0.0

    def hardware(self) -> Hardware:
        """Of nodes that are like this one."""
        return this_machine().times(self.nodes)

    def command(self) -> Sequence[str]:
        told = [str(self.processes_per_node), str(self.nodes), json.dumps(self.prefix), self.endpoint or ""]
        return (sys.executable, "-m", "trainer.launchers.torchrun", str(os.getpid()), *told)


def engines(python: str, launch: Torchrun, folder: str, name: str, control: str | None = None) -> list[str]:
    """The command that starts all engines of an attempt, the same on every node; they meet under that name."""
    meeting = ["--standalone"]
    if launch.nodes > 1:
        meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={launch.endpoint}", f"--rdzv-id={name}"]
    command = [
        *launch.prefix,
        *(python, "-m", "torch.distributed.run", f"--nnodes={launch.nodes}"),
        *(f"--nproc-per-node={launch.processes_per_node}", *meeting, "--max-restarts=0"),
        *("-m", ENGINE, "--folder", folder),
    ]
    return command if control is None else [*command, "--control", control]


def main() -> int:
    """Exit codes: 0 done or stopped, 1 failed (a message says why, unless all processes were killed)."""
    given = _arguments()
    die_with_parent(given.parent)
    messages = claim_stdout()
    emit = emitter(messages)
    running: list[subprocess.Popen[bytes]] = []
    stopped = []

    def stop(_number: int, _frame: object) -> None:
        # torchrun passes it on to the engines, and srun to torchrun on every node.
        stopped.append(True)
        for one in running:
            one.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = folder_from_stdin(emit)
    if folder is None or stopped:
        return 0
    launch = Torchrun(given.processes, given.nodes, tuple(json.loads(given.prefix)), given.endpoint)
    command = engines(sys.executable, launch, str(folder.absolute()), folder.name)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, preexec_fn=kill_with_parent)
    running.append(process)
    if stopped:
        process.terminate()
    code = process.wait()
    if not (folder / SAID).exists() and (failed := failure_of_another(folder)) is not None:
        emit(failed)
    return min(abs(code), 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("parent", type=int)
    parser.add_argument("processes", type=int)
    parser.add_argument("nodes", type=int)
    parser.add_argument("prefix", help="JSON list")
    parser.add_argument("endpoint", nargs="?")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
