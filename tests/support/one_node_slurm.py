"""A real Slurm of one node, this machine: its daemons run as root from a temporary folder and are gone afterwards.

Not of the defaults: no accounting, no cgroups, and `auth/none`, as nobody else takes part.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONFIGURATION = """
ClusterName=potluck
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/cons_tres
ReturnToService=2
KillWait=5
MinJobAge=10
InactiveLimit=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES OverSubscribe=FORCE:4 State=UP
"""


def missing() -> str | None:
    """What this machine lacks to run a Slurm, in words; none: nothing."""
    absent = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} not found: `make test-slurm` installs Debian's slurm-wlm as root"
    return None if os.geteuid() == 0 else "the daemons of Slurm start jobs as other users: run this as root"


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[Mapping[str, str]]:
    """The environment variables by which sbatch, squeue and scancel find it."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    file = folder / "slurm.conf"
    cores = os.cpu_count() or 1
    file.write_text(CONFIGURATION.format(host=host, folder=folder, cores=cores, controller=_port(), node=_port()))
    variables = {"SLURM_CONF": str(file), "PATH": _path()}
    daemons = []
    try:
        for name in ("slurmctld", "slurmd"):
            with (folder / f"{name}.log").open("wb") as log:
                command = [name, "-D", "-f", str(file)]
                daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **variables}))
        _wait_until_idle(folder, variables)
        yield variables
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(30)


def _wait_until_idle(folder: Path, variables: Mapping[str, str]) -> None:
    end = time.monotonic() + 60
    state = ""
    while time.monotonic() < end:
        told = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        state = told.stdout.strip()
        if state == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join((folder / f"{name}.log").read_text()[-2000:] for name in ("slurmctld", "slurmd"))
    raise TimeoutError(f"the node of Slurm is {state or 'not there'} after a minute\n{logs}")


def _path() -> str:
    return f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
