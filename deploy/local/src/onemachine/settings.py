"""What the platform on one machine is told."""

from pathlib import Path

from contracts.topology import EMITS
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DEPLOY = Path(__file__).resolve().parents[3]


class OneMachineSettings(BaseSettings):
    """Read from POTLUCK_ONEMACHINE_…; the command line's options go before.

    Settings of a single service (POTLUCK_METRIC_…) are handed on to that service, and go before what is chosen here.
    """

    model_config = SettingsConfigDict(env_prefix="POTLUCK_ONEMACHINE_", extra="ignore", frozen=True)

    state: Path = Field(default=Path(".potluck"), description="everything that lasts; one supervisor each")
    host: str = Field(default="127.0.0.1", description="where the site listens; 0.0.0.0: every network")
    port: int = Field(default=8000, ge=1, le=65535, description="port of the site")
    free_ports: bool = Field(default=False, description="find a free port for the site too, and keep it")
    services: tuple[str, ...] = Field(
        default=tuple(EMITS), description="which services run here; [] leaves PostgreSQL and NATS alone"
    )
    trainers: int = Field(default=1, ge=0, description="how many trainers run")
    regions: tuple[str, ...] = Field(
        default=(),
        description="titles of storage regions; each but the first gets a store and a gateway of its own; none: one",
    )
    min_free_gb: float = Field(default=2.0, ge=0, description="do not start with less free disk, 10⁹ bytes")
    presets: Path = Field(default=DEPLOY / "presets", description="training recipes")
    policy: Path = Field(default=DEPLOY / "policy" / "growth.json", description="the growth policy")
