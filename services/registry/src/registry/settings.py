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

    @property
    def tls(self) -> ServerTls | None:
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return ServerTls(self.tls_certificate, self.tls_key, self.tls_client_ca)

    @property
    def offers_operations(self) -> bool:
        return self.open_operator or self.operator_token is not None
