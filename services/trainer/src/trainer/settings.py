"""What a trainer is told at start."""

import os
import socket
from pathlib import Path

from kit.settings import ServiceSettings, service_config
from pydantic import Field, SecretStr


class TrainerSettings(ServiceSettings):
    """Environment variables POTLUCK_TRAINER_… . It needs neither database nor NATS."""

    model_config = service_config("trainer")

    registry_address: str = Field(description="host:port of the registry's gRPC")
    fleet_token: SecretStr = Field(min_length=1, description="bearer token of the registry's fleet service")
    presets: Path = Field(description="folder of training presets, e.g. deploy/presets")
    offered_presets: tuple[str, ...] = Field(default=(), description="presets that this worker takes; empty: all")
    worker_id: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", description="name of this worker, unique"
    )
    work_folder: Path | None = Field(
        default=None, description="datasets fetched and attempts under way; workers may share it; none: a temporary one"
    )
    cache_bytes: int = Field(default=20 << 30, ge=0, description="fetched datasets and models kept for later rounds")
    threads: int = Field(default=1, ge=1, description="CPU threads of training; small models gain nothing from two")
    warm_start: bool = Field(
        default=True, description="keep a training program with its imports done; half a GB of memory for 10 s a round"
    )
    report_seconds: float = Field(default=2, gt=0, description="pause between reports of progress")
    deadline_seconds: float = Field(default=10, gt=0, description="how long one question to the registry may take")
    submit_seconds: float = Field(default=120, gt=0, description="how long it may take to judge a candidate")
    stop_seconds: float = Field(default=20, gt=0, description="on SIGTERM: time for a last checkpoint")
