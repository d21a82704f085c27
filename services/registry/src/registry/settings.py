"""What the registry is told at start."""

import re
from pathlib import Path

from kit.settings import ServiceSettings, service_config
from kit.tls import ServerTls, is_loopback
from pydantic import Field, SecretStr, field_validator, model_validator


class RegistrySettings(ServiceSettings):
    """Environment variables POTLUCK_REGISTRY_…"""

    model_config = service_config("registry")

    address: str = Field(default="127.0.0.1:0", description="where fleet and query services answer")
    growth_policy: Path = Field(description="growth policy file, e.g. deploy/policy/growth.json")
    presets: Path | None = Field(
        default=None,
        description="folder of training presets: what machine each of them needs; none: any will do",
    )
    fleet_token: SecretStr | None = Field(
        default=None, min_length=1, description="bearer token that every trainer presents; none: tls_client_ca decides"
    )
    query_token: SecretStr | None = Field(default=None, description="bearer token for queries")
    open_queries: bool = Field(default=False, description="answer queries without a token")
    operator_token: SecretStr | None = Field(
        default=None, min_length=1, description="bearer token of operators; none: nobody steers growth from outside"
    )
    open_operator: bool = Field(default=False, description="let anyone on this machine steer growth; loopback only")
    signing_key: SecretStr = Field(
        description="64 hex digits: the Ed25519 seed that signs receipts and manifests; a new one takes over, and what"
        " earlier ones signed stays valid"
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM file: certificate (chain) of this address; none: nothing is encrypted"
    )
    tls_key: Path | None = Field(default=None, description="PEM file of its key")
    tls_client_ca: Path | None = Field(
        default=None,
        description="PEM file: every caller needs a certificate that this authority signed (mutual TLS)",
    )
    public_address: str | None = Field(
        default=None, description="where anyone may query (contracts.registry.v1 alone); none: nowhere"
    )
    public_tokens: dict[str, SecretStr] = Field(
        default={}, description="who may query there, name → bearer token, as JSON"
    )
    public_anonymous: bool | None = Field(
        default=None, description="answer without a token there; none: on a loopback address alone"
    )
    public_tls_certificate: Path | None = Field(
        default=None, description="PEM file: certificate (chain) of the public address; none: not encrypted"
    )
    public_tls_key: Path | None = Field(default=None, description="PEM file of its key")
    public_calls_per_second: float = Field(
        default=200, ge=0, description="of one caller (token, or address of an anonymous one); 0: as many as it likes"
    )
    public_burst: int = Field(default=1000, ge=1, description="calls of one caller at once, after a quiet time")
    public_open_calls: int = Field(default=2000, ge=1, description="calls and watchers of all callers at a time")
    public_request_bytes: int = Field(default=8 << 20, ge=1024, description="largest request")
    query_seconds: float = Field(default=20, gt=0, description="longest time that a query takes")
    max_watchers: int = Field(default=1000, ge=1, description="streams of changes open at a time")
    kept_answers_bytes: int = Field(default=128 << 20, ge=0, description="memory for answers that were given before")
    download_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+$",
        description="site whose gateway serves signed addresses of model files; none: only a store that signs by itself"
        " gives any",
    )
    download_secret: SecretStr | None = Field(
        default=None, min_length=32, description="signs those addresses; the gateway has the same"
    )
    download_seconds: int = Field(default=3600, ge=60, description="how long such an address works, unless asked")
    download_most_seconds: int = Field(default=7 * 86400, ge=60, description="the longest that can be asked for")
    check_seconds: float = Field(default=1.0, gt=0, description="pause between looks at leases and waiting list")

    @field_validator("signing_key")
    @classmethod
    def _a_seed(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[0-9a-f]{64}", value.get_secret_value()):
            raise ValueError("is not 64 lower-case hex digits; make one: openssl rand -hex 32")
        return value

    @model_validator(mode="after")
    def _queries_are_guarded_or_open(self) -> "RegistrySettings":
        if self.open_queries == (self.query_token is not None):
            raise ValueError("set exactly one of query_token and open_queries=true")
        return self

    @model_validator(mode="after")
    def _operators_are_known_or_here(self) -> "RegistrySettings":
        if self.open_operator and self.operator_token is not None:
            raise ValueError("set one of operator_token and open_operator=true, or neither")
        if self.open_operator and not is_loopback(self.address):
            raise ValueError(f"open_operator=true is for a loopback address, not {self.address}: set operator_token")
        return self

    @model_validator(mode="after")
    def _trainers_are_known(self) -> "RegistrySettings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both, or neither")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca asks callers for certificates: set tls_certificate and tls_key too")
        if self.fleet_token is None and self.tls_client_ca is None:
            raise ValueError(
                f"anyone who reaches {self.address} could lease rounds and hand in models: set fleet_token, or "
                "tls_certificate, tls_key and tls_client_ca (mutual TLS)"
            )
        if self.tls is not None:
            self.tls.check()
        return self

    @model_validator(mode="after")
    def _strangers_are_let_in_on_purpose(self) -> "RegistrySettings":
        if self.public_address is None:
            return self
        if not self.anonymous and not self.public_tokens:
            raise ValueError(
                f"nobody could query at public_address {self.public_address}: set public_tokens, or"
                " public_anonymous=true to answer everyone"
            )
        if (self.public_tls_certificate is None) != (self.public_tls_key is None):
            raise ValueError("public_tls_certificate and public_tls_key belong together: set both, or neither")
        if any(len(token.get_secret_value()) < 16 for token in self.public_tokens.values()):
            raise ValueError("public_tokens has a token of less than 16 characters; make one: openssl rand -hex 32")
        if self.public_tls is not None:
            self.public_tls.check()
        return self

    @model_validator(mode="after")
    def _addresses_can_be_signed(self) -> "RegistrySettings":
        if (self.download_url is None) != (self.download_secret is None):
            raise ValueError("download_url and download_secret belong together: set both, or neither")
        return self

    @property
    def anonymous(self) -> bool:
        """Whether the public address answers without a token."""
        if self.public_anonymous is None:
            return self.public_address is not None and is_loopback(self.public_address)
        return self.public_anonymous

    @property
    def public_tls(self) -> ServerTls | None:
        if self.public_tls_certificate is None or self.public_tls_key is None:
            return None
        return ServerTls(self.public_tls_certificate, self.public_tls_key)

    @property
    def tls(self) -> ServerTls | None:
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return ServerTls(self.tls_certificate, self.tls_key, self.tls_client_ca)

    @property
    def offers_operations(self) -> bool:
        return self.open_operator or self.operator_token is not None
