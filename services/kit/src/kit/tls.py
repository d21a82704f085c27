"""Certificates of gRPC: who the server is, and (mutual TLS) who may speak to it."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import grpc
from pydantic import BaseModel, Field, model_validator


class TlsError(ValueError):
    """A certificate file is missing or wrong; the message says which, and what is."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files. With `client_ca` a caller needs a certificate that this authority signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def check(self) -> None:
        """Raises TlsError."""
        _check_pair(self.certificate, self.key)
        if self.client_ca is not None:
            _check_authority(self.client_ca)

    def credentials(self) -> grpc.ServerCredentials:
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        authority = None if self.client_ca is None else self.client_ca.read_bytes()
        return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files. Without `ca` the authorities that the system trusts count; a certificate is for mutual TLS."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raises TlsError."""
        if self.ca is not None:
            _check_authority(self.ca)
        if (self.certificate is None) != (self.key is None):
            raise TlsError("a client certificate and its key belong together: set both, or neither")
        if self.certificate is not None and self.key is not None:
            _check_pair(self.certificate, self.key)

    def credentials(self) -> grpc.ChannelCredentials:
        authority, key, certificate = (
            None if path is None else path.read_bytes() for path in (self.ca, self.key, self.certificate)
        )
        return grpc.ssl_channel_credentials(authority, key, certificate)


class RegistryTlsSettings(BaseModel):
    """Of a service that speaks to the registry: how it knows the registry, and how the registry knows it."""

    registry_ca: Path | None = Field(
        default=None, description="PEM file of the authority that signed the registry's certificate; none: no TLS"
    )
    registry_certificate: Path | None = Field(
        default=None, description="PEM file: this service's own certificate, if the registry asks for one (mutual TLS)"
    )
    registry_key: Path | None = Field(default=None, description="PEM file of its key")

    @model_validator(mode="after")
    def _certificates_can_be_used(self) -> "RegistryTlsSettings":
        if self.registry_ca is None and (self.registry_certificate or self.registry_key):
            raise TlsError("registry_certificate is for mutual TLS: set registry_ca too, or the registry is not known")
        if self.registry_tls is not None:
            self.registry_tls.check()
        return self

    @property
    def registry_tls(self) -> ClientTls | None:
        if self.registry_ca is None:
            return None
        return ClientTls(self.registry_ca, self.registry_certificate, self.registry_key)


def is_loopback(address: str) -> bool:
    """Whether `host:port` can be reached from this machine alone."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_pair(certificate: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(
        f"certificate {certificate} with key {key}", lambda: context.load_cert_chain(certificate, key), certificate, key
    )


def _check_authority(path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(f"certificate authority {path}", lambda: context.load_verify_locations(path), path)


def _load(what: str, load: Callable[[], None], *files: Path) -> None:
    for path in files:
        try:
            path.open("rb").close()
        except OSError as error:
            raise TlsError(f"{path} cannot be read: {error.strerror}") from error
    try:
        load()
    except ssl.SSLError as error:
        raise TlsError(f"{what} cannot be used: {error.reason or error}; PEM files are expected") from error
