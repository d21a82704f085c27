"""What the gateway is told."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from kit.settings import ServiceSettings, service_config
from pydantic import Field, SecretStr, model_validator


class GatewaySettings(ServiceSettings):
    """Read from POTLUCK_GATEWAY_…."""

    model_config = service_config("gateway")

    address: str = Field(default="127.0.0.1:8000", description="host:port of the site and its API")
    public_url: str | None = Field(
        default=None, description="the address people type, e.g. https://potluck.example; none: as each request says"
    )
    behind_proxy: bool = Field(
        default=False,
        description="believe X-Forwarded-For and X-Forwarded-Proto: only behind a proxy that overwrites them",
    )
    uploads_folder: Path | None = Field(
        default=None,
        description="uploads in progress, shared by all replicas; none: beside the folder that holds the objects",
    )
    max_upload_bytes: int = Field(default=4 << 30, ge=1, description="largest archive")
    max_open_uploads: int = Field(default=20, ge=1, description="unpublished uploads that one person may have")
    upload_expiry_hours: float = Field(
        default=72, gt=0, description="an upload that nobody wrote to or published for so long is removed"
    )
    upload_sweep_seconds: float = Field(default=600, gt=0, description="how often expired uploads are looked for")
    takeover_seconds: float = Field(
        default=10, gt=0, description="how long a newer request waits for the older writer of an upload to stop"
    )
    session_days: float = Field(default=30, gt=0, description="how long a person stays signed in")
    password_hashes_at_once: int = Field(default=2, ge=1, description="each takes 64 MiB and a core for 0.1–0.4 s")
    sign_in_attempts: int = Field(
        default=10, ge=1, description="wrong passwords for one account from one address within the window"
    )
    sign_in_window_minutes: float = Field(default=15, gt=0, description="that window")
    licences: tuple[str, ...] = Field(
        default=("CC-BY-4.0", "CC0-1.0", "CC-BY-NC-4.0"), min_length=1, description="SPDX; the first is the default"
    )
    agreement: str = Field(default="2026-11", description="version of the contributor agreement in force")
    reruns_per_hour: int = Field(default=6, ge=1, description="repetitions of metric runs that one person may ask for")
    registry_address: str | None = Field(
        default=None,
        description="host:port of the registry's gRPC: operators steer growth; none: they cannot from here",
    )
    registry_operator_token: SecretStr | None = Field(default=None, description="bearer token of operators there")
    page_size: int = Field(default=20, ge=1, le=100, description="datasets on one page of a list")
    max_watchers: int = Field(default=2000, ge=1, description="live streams open at a time")
    keep_alive_seconds: float = Field(default=15, gt=0, description="a sign of life on a quiet live stream")
    stop_seconds: float = Field(default=3, gt=0, description="how long open requests may take to end at SIGTERM")

    @model_validator(mode="after")
    def _uploads_have_a_place(self) -> "GatewaySettings":
        if self.uploads_folder is None and urlsplit(self.blobs_url).scheme != "file":
            raise ValueError("POTLUCK_GATEWAY_UPLOADS_FOLDER is needed when the objects are not in a folder")
        return self

    @property
    def incoming(self) -> Path:
        """Where uploads grow. Beside the objects, a finished one is moved there by a rename."""
        if self.uploads_folder is not None:
            return self.uploads_folder
        return Path(unquote(urlsplit(self.blobs_url).path)).with_name("incoming")

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)
