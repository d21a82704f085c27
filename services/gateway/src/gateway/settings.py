"""What the gateway is told."""

from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from kit.settings import ServiceSettings, service_config
from pydantic import BaseModel, Field, SecretStr, model_validator

from gateway.provider_settings import Provider


class RegionSettings(BaseModel):
    """A place where archives may lie."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="stable name; entries keep it")
    title: str = Field(min_length=1, max_length=60, description="what people read, e.g. 'Europe (Frankfurt)'")
    store_url: str = Field(description="object storage, as BLOBS_URL")
    upload_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+$",
        description="where its gateway answers; none: this site is the only one",
    )


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
    max_account_bytes: int = Field(
        default=500_000_000_000, ge=1, description="archives and unpublished uploads that one account may have together"
    )
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
    sign_ups_per_hour: int = Field(default=100, ge=1, description="new accounts from one address")
    reset_link_hours: float = Field(default=2, gt=0, description="how long a link to a new password works")
    smtp_host: str = Field(default="", description="server that takes mails; none: this platform sends none")
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="'none' is for a server on this machine"
    )
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    mail_from: str = Field(default="", description="sender, e.g. 'Potluck <potluck@example.org>'")
    providers: tuple[Provider, ...] = Field(
        default=(), description="accounts elsewhere that people may sign in with, as JSON; see `provider_settings`"
    )
    licences: tuple[str, ...] = Field(
        default=("CC-BY-4.0", "CC0-1.0", "CC-BY-NC-4.0"), min_length=1, description="SPDX; the first is the default"
    )
    doi_prefix: str | None = Field(
        default=None,
        pattern=r"^10\.\d{4,9}$",
        description="your DOI prefix at DataCite: what is exported for it then names a DOI; none: it names none",
    )
    agreement: str = Field(default="2026-11", description="version of the contributor agreement in force")
    agreements_folder: Path | None = Field(
        default=None, description="texts of your own, <version>.<language>.md; none: ours"
    )
    regions: tuple[RegionSettings, ...] = Field(
        default=(),
        description="storage regions, the first is the default; none: one, the storage that all services share",
    )
    region: str | None = Field(default=None, description="id of the region whose uploads this process takes")
    plain_upload_bytes: int = Field(default=100_000_000, ge=1, description="largest archive of the form without script")
    reruns_per_hour: int = Field(default=6, ge=1, description="repetitions of metric runs that one person may ask for")
    predictions_per_hour: int = Field(
        default=30, ge=1, description="structures that one person, or one address, may have predicted"
    )
    predictions_waiting: int = Field(default=100, ge=1, description="structures that may wait for it together")
    prediction_bytes: int = Field(default=900_000, ge=1, le=1_000_000, description="largest structure, as text")
    prediction_hours: float = Field(default=24, gt=0, description="how long structure and prediction are kept")
    registry_address: str | None = Field(
        default=None,
        description="host:port of the registry's gRPC: operators steer growth; none: they cannot from here",
    )
    registry_operator_token: SecretStr | None = Field(default=None, description="bearer token of operators there")
    download_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="with which the registry signs addresses of model files; none: no such address is answered",
    )
    page_size: int = Field(default=20, ge=1, le=100, description="datasets on one page of a list")
    max_watchers: int = Field(default=2000, ge=1, description="live streams open at a time")
    keep_alive_seconds: float = Field(default=15, gt=0, description="a sign of life on a quiet live stream")
    webhooks_anywhere: bool = Field(
        default=False,
        description="webhooks may lead to this machine and private networks, and by plain HTTP: for closed networks",
    )
    webhook_seconds: float = Field(default=10, gt=0, description="how long a receiver may take to answer")
    webhook_give_up_hours: float = Field(
        default=24, gt=0, description="a webhook that has taken nothing for so long is disabled"
    )
    stop_seconds: float = Field(default=3, gt=0, description="how long open requests may take to end at SIGTERM")

    @model_validator(mode="after")
    def _uploads_have_a_place(self) -> "GatewaySettings":
        if self.uploads_folder is None and urlsplit(self.blobs_url).scheme != "file":
            raise ValueError("POTLUCK_GATEWAY_UPLOADS_FOLDER is needed when the objects are not in a folder")
        return self

    @model_validator(mode="after")
    def _regions_are_known(self) -> "GatewaySettings":
        known = [one.id for one in self.regions]
        if len(set(known)) != len(known):
            raise ValueError("POTLUCK_GATEWAY_REGIONS names a region twice")
        if self.region is not None and self.region not in known:
            raise ValueError(f"POTLUCK_GATEWAY_REGION is {self.region!r}, and the regions are: {', '.join(known)}")
        for one in self.regions:
            if one.upload_url is None and len(known) > 1:
                raise ValueError(f"region {one.id} needs an upload_url: where its gateway answers")
        return self

    @model_validator(mode="after")
    def _mails_have_a_sender(self) -> "GatewaySettings":
        if self.smtp_host and "@" not in self.mail_from:
            raise ValueError("POTLUCK_GATEWAY_MAIL_FROM is needed when POTLUCK_GATEWAY_SMTP_HOST is set")
        if self.smtp_host and self.public_url is None:
            raise ValueError("POTLUCK_GATEWAY_PUBLIC_URL is needed with POTLUCK_GATEWAY_SMTP_HOST: mails lead there")
        if self.smtp_security == "none" and self.smtp_password.get_secret_value():
            raise ValueError("POTLUCK_GATEWAY_SMTP_PASSWORD would be sent in the clear: set SMTP_SECURITY")
        return self

    @model_validator(mode="after")
    def _providers_differ(self) -> "GatewaySettings":
        if len({provider.id for provider in self.providers}) < len(self.providers):
            raise ValueError("POTLUCK_GATEWAY_PROVIDERS names two providers with one id")
        if self.providers and self.public_url is None:
            raise ValueError(
                "POTLUCK_GATEWAY_PUBLIC_URL is needed with POTLUCK_GATEWAY_PROVIDERS: they send people there"
            )
        return self

    @property
    def site_url(self) -> str:
        """Where links that we hand out lead."""
        return (self.public_url or f"http://{self.address}").rstrip("/")

    @property
    def sends_mail(self) -> bool:
        return bool(self.smtp_host)

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
