"""One settings class a service, read from the environment (`POTLUCK_<SERVICE>_…`) or from secret files."""

import os
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


def service_config(name: str) -> SettingsConfigDict:
    """Settings configuration of one service.

    Every variable starts with POTLUCK_<NAME>_. A secret may come as a file instead: in the folder that
    POTLUCK_<NAME>_SECRETS_DIR names, a file called like the variable in lower case.
    """
    prefix = f"POTLUCK_{name.upper()}_"
    return SettingsConfigDict(
        env_prefix=prefix, extra="ignore", frozen=True, secrets_dir=os.environ.get(f"{prefix}SECRETS_DIR")
    )


Settings = TypeVar("Settings", bound=BaseSettings)


def told(kind: type[Settings]) -> Settings:
    """The settings of a program that starts. Wrong ones end it (exit code 2) with a sentence for each."""
    try:
        return kind()
    except ValidationError as error:
        print("\n".join(problems(kind, error)), file=sys.stderr)
        sys.exit(2)


def problems(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    """What is wrong with the environment, variable by variable. Values are not told: they may be secrets."""
    prefix = kind.model_config.get("env_prefix", "")
    lines = []
    for problem in error.errors(include_input=False):
        name = prefix + "_".join(map(str, problem["loc"])).upper() if problem["loc"] else f"{prefix}…"
        lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    return lines


class ServiceSettings(BaseSettings):
    """What every service is told."""

    database_dsn: SecretStr | None = Field(default=None, description="libpq DSN with this service's own role")
    database_pool_size: int = Field(default=6, ge=1, description="most connections at a time")
    nats_url: str | None = Field(default=None, description="NATS address, e.g. nats://127.0.0.1:4222")
    nats_user: str = Field(default="", description="this service's own NATS user")
    nats_password: SecretStr = Field(default=SecretStr(""), description="password of that user")
    blobs_url: str = Field(description="object storage: file:///folder, s3://bucket/prefix, …")
    health_address: str = Field(default="127.0.0.1:0", description="where /health/live and /health/ready answer")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    traces_file: Path | None = Field(
        default=None,
        description="append finished spans here as JSON lines; OTEL_EXPORTER_OTLP_ENDPOINT sends them instead",
    )
    retry_delays_seconds: tuple[float, ...] = Field(
        default=(1, 3, 10, 30, 120), description="delay before each further try of a failed message"
    )
    max_attempts: int = Field(default=8, ge=1, description="tries of a message before it becomes a dead letter")
