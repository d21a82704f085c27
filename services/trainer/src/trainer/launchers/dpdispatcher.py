"""A job of a cluster, through dpdispatcher: Slurm, PBS, Torque, SGE, LSF, Bohrium, a plain shell, here or over SSH."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer.hardware import Gpu, Hardware

PROGRAM = "trainer.launchers.cluster"
_GB = 10**9


class ClusterSettings(BaseModel):
    """The JSON file: machine and resources as dpdispatcher defines them, and what it cannot know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: dict[str, Any] = Field(description="dpdispatcher's machine; local_root is the worker's own business")
    resources: dict[str, Any] = Field(description="dpdispatcher's resources; group_size is always 1")
    python: str = Field(default=sys.executable, description="interpreter there, with this package and deepmd-kit")
    processes_per_node: int | None = Field(default=None, ge=1, description="none: one for each GPU of a node, or one")
    node_prefix: tuple[str, ...] = Field(
        default=("srun", "--ntasks-per-node=1"), description="starts a program on each of several nodes"
    )
    endpoint: str = Field(
        default='$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):29400',
        description="where several nodes meet, host:port; the shell of the job expands it",
    )
    poll_seconds: float = Field(default=10, gt=0, description="pause between looks at the job")
    away_seconds: float = Field(
        default=600, gt=0, description="the cluster may be out of reach for so long before the attempt is given up"
    )
    deepmd: str | None = Field(default=None, description="version of deepmd-kit there; none: the same as here")
    torch: str | None = Field(default=None, description="version of torch there; none: the same as here")
    cpu_name: str = ""
    gpu_name: str = "GPU"
    gpu_memory_gb: float = Field(
        default=0, ge=0, description="of each GPU, GB; 0: not known, no preset that asks for it"
    )
    memory_gb: float = Field(default=0, ge=0, description="main memory of a node, GB; 0: not known")

    @classmethod
    def load(cls, path: Path) -> "ClusterSettings":
        """Raises ValueError naming the file and the field."""
        try:
            return cls.model_validate_json(path.read_text())
        except OSError as error:
            raise ValueError(f"dpdispatcher file {path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ValueError(f"dpdispatcher file {path} is not valid: {error}") from error

    @property
    def nodes(self) -> int:
        return int(self.resources.get("number_node", 1))

    @property
    def gpus_per_node(self) -> int:
        return int(self.resources.get("gpu_per_node", 0))

    @property
    def processes_on_a_node(self) -> int:
        return self.processes_per_node or max(1, self.gpus_per_node)


@dataclass(frozen=True, slots=True)
class Dpdispatcher:
    """`file` holds `settings`."""

    file: Path
    settings: ClusterSettings

    @property
    def name(self) -> str:
        return "dpdispatcher"

    @property
    def processes(self) -> int:
        return self.settings.nodes * self.settings.processes_on_a_node

    @property
    def farewell_seconds(self) -> float:
        """To delete the job."""
        return 30.0

    def hardware(self) -> Hardware:
        """What a job asks for; GPUs and memory as the file tells."""
        told = self.settings
        gpu = Gpu(told.gpu_name, round(told.gpu_memory_gb * _GB))
        cores = int(told.resources.get("cpu_per_node", 1)) * told.nodes
        return Hardware((gpu,) * told.gpus_per_node * told.nodes, told.cpu_name, cores, round(told.memory_gb * _GB))

    def command(self) -> Sequence[str]:
        return (sys.executable, "-m", PROGRAM, str(os.getpid()), str(self.file))

    def check(self) -> None:
        """Have dpdispatcher's own checker read the file: a round must not fail of it. Raises ValueError."""
        with tempfile.TemporaryDirectory() as folder:  # dpdispatcher writes a log wherever it is imported
            done = subprocess.run(
                [sys.executable, "-m", PROGRAM, "--check", str(self.file)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        if done.returncode != 0:
            raise ValueError(f"dpdispatcher file {self.file} is not valid: {done.stderr.strip().splitlines()[-1]}")
