"""What a trainer is told at start."""

import os
import socket
from pathlib import Path
from typing import Literal

from kit.settings import ServiceSettings, service_config
from kit.tls import RegistryTlsSettings
from pydantic import Field, SecretStr, model_validator


class TrainerSettings(ServiceSettings, RegistryTlsSettings):
    """Environment variables POTLUCK_TRAINER_… . It needs neither database nor NATS."""

    model_config = service_config("trainer")

    registry_address: str = Field(description="host:port of the registry's gRPC")
    fleet_token: SecretStr | None = Field(
        default=None, min_length=1, description="bearer token of the registry's fleet service; none: a certificate"
    )
    presets: Path = Field(description="folder of training presets, e.g. deploy/presets")
    offered_presets: tuple[str, ...] = Field(default=(), description="presets that this worker takes; empty: all")
    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", description="name of this worker, unique"
    )
    work_folder: Path | None = Field(
        default=None, description="datasets fetched and attempts under way; workers may share it; none: a temporary one"
    )
    cache_bytes: int = Field(default=20 << 30, ge=0, description="fetched datasets and models kept for later rounds")
    launcher: Literal["local", "torchrun", "dpdispatcher"] = Field(
        default="local",
        description="how training starts: one process here, several (torchrun), or a job of a cluster (dpdispatcher)",
    )
    torchrun_processes: int | None = Field(
        default=None, ge=1, description="torchrun: processes on each node; none: one for each GPU of this machine"
    )
    torchrun_nodes: int = Field(default=1, ge=1, description="torchrun: nodes; they share the work folder")
    torchrun_prefix: tuple[str, ...] = Field(
        default=(),
        description='torchrun on several nodes: what starts a program on each, e.g. ["srun", "--ntasks-per-node=1"]',
    )
    torchrun_endpoint: str | None = Field(
        default=None, description="torchrun on several nodes: host:port of the first, where all of them meet"
    )
    dpdispatcher_file: Path | None = Field(
        default=None, description="dpdispatcher: JSON file with machine and resources; see services/trainer/README.md"
    )
    threads: int = Field(default=1, ge=1, description="CPU threads of training; small models gain nothing from two")
    warm_start: bool = Field(
        default=True, description="keep a training program with its imports done; half a GB of memory for 10 s a round"
    )
    report_seconds: float = Field(default=2, gt=0, description="pause between reports of progress")
    deadline_seconds: float = Field(default=10, gt=0, description="how long one question to the registry may take")
    submit_seconds: float = Field(default=120, gt=0, description="how long it may take to judge a candidate")
    stop_seconds: float = Field(default=20, gt=0, description="on SIGTERM: time for a last checkpoint")

    @model_validator(mode="after")
    def _the_registry_knows_this_worker(self) -> "TrainerSettings":
        if self.fleet_token is None and self.registry_certificate is None:
            raise ValueError(
                f"the registry at {self.registry_address} would not know this worker: set fleet_token, or registry_ca, "
                "registry_certificate and registry_key (mutual TLS)"
            )
        return self

    @model_validator(mode="after")
    def _the_launcher_is_told_what_it_needs(self) -> "TrainerSettings":
        if self.launcher == "dpdispatcher" and self.dpdispatcher_file is None:
            raise ValueError("launcher dpdispatcher needs dpdispatcher_file: machine and resources")
        if (
            self.launcher == "torchrun"
            and self.torchrun_nodes > 1
            and not (self.torchrun_prefix and self.torchrun_endpoint)
        ):
            raise ValueError(
                "torchrun on several nodes needs torchrun_prefix, which starts a program on each of them, and "
                "torchrun_endpoint, where they meet"
            )
        return self
