"""What the platform on one machine is told."""

from ipaddress import ip_address
from pathlib import Path
from typing import Self

from contracts.topology import EMITS
from pydantic import Field, model_validator
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
    events: bool = Field(default=True, description="serve public events to subscribers outside")
    events_host: str = Field(default="127.0.0.1", description="where subscribers connect; 0.0.0.0: every network")
    events_port: int | None = Field(default=None, ge=1, le=65535, description="their port; none: a free one, kept")
    events_websocket_port: int | None = Field(
        default=None, ge=1, le=65535, description="a port for websockets too; none: no websockets"
    )
    events_certificate: Path | None = Field(
        default=None, description="PEM file: subscribers connect by TLS alone; needed beyond this machine"
    )
    events_key: Path | None = Field(default=None, description="PEM file of its key")
    events_max_connections: int = Field(default=1000, ge=1, description="of all subscribers together")

    @model_validator(mode="after")
    def _subscribers_are_heard_by_nobody_else(self) -> Self:
        if (self.events_certificate is None) != (self.events_key is None):
            raise ValueError("events_certificate and events_key belong together")
        if self.events_certificate is None and not _is_loopback(self.events_host):
            raise ValueError(
                "events_host is beyond this machine: passwords would travel in the clear. Set events_certificate and"
                " events_key"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
