"""The settings of each service, as environment variables: POTLUCK_<SERVICE>_<SETTING>."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onemachine.settings import OneMachineSettings

Secret = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens: ports of the loopback, but for the site's host."""

    gateway: tuple[str, int]
    nats: int
    nats_monitor: int
    registry: int
    health: Mapping[str, int]

    @property
    def registry_address(self) -> str:
        return f"127.0.0.1:{self.registry}"

    @property
    def site(self) -> str:
        host, port = self.gateway
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 (compared, not bound)
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


@dataclass(frozen=True, slots=True)
class Telling:
    """From what a service's own settings are made."""

    addresses: Addresses
    settings: OneMachineSettings
    state: Path
    secret: Secret


def service_environment(
    told: Telling, service: str, unit: str, database_dsn: str | None, nats_password: str | None
) -> dict[str, str]:
    """Everything that `service` is told here, and nothing that another one is told."""
    values = {
        "blobs_url": (told.state / "blobs").as_uri(),
        "health_address": f"127.0.0.1:{told.addresses.health[unit]}",
        "traces_file": str(told.state / "logs" / f"{unit}.traces.jsonl"),
    }
    if database_dsn is not None:
        values["database_dsn"] = database_dsn
    if nats_password is not None:
        url = f"nats://127.0.0.1:{told.addresses.nats}"
        values |= {"nats_url": url, "nats_user": service, "nats_password": nats_password}
    values |= _OF_ITS_OWN[service](told)
    return {f"POTLUCK_{service.upper()}_{name.upper()}": value for name, value in values.items()}


def _gateway(told: Telling) -> dict[str, str]:
    host, port = told.addresses.gateway
    return {
        "address": f"{f'[{host}]' if ':' in host else host}:{port}",
        "registry_address": told.addresses.registry_address,
        "registry_operator_token": told.secret("registry-operator"),
    }


def _ingest(told: Telling) -> dict[str, str]:
    return {"work_folder": str(told.state / "work" / "ingest")}


def _metric(told: Telling) -> dict[str, str]:
    return {
        "registry_address": told.addresses.registry_address,
        "registry_token": told.secret("registry-query"),
        "work_folder": str(told.state / "work" / "metric"),
    }


def _registry(told: Telling) -> dict[str, str]:
    return {
        "address": told.addresses.registry_address,
        "growth_policy": str(told.settings.policy.absolute()),
        "presets": str(told.settings.presets.absolute()),
        "fleet_token": told.secret("registry-fleet"),
        "query_token": told.secret("registry-query"),
        "operator_token": told.secret("registry-operator"),
        # 32 random bytes in hex are an Ed25519 seed.
        "signing_key": told.secret("registry-signing"),
    }


def _trainer(told: Telling) -> dict[str, str]:
    return {
        "registry_address": told.addresses.registry_address,
        "fleet_token": told.secret("registry-fleet"),
        "presets": str(told.settings.presets.absolute()),
        "work_folder": str(told.state / "work" / "trainer"),  # shared: a dataset is fetched once for all
    }


_OF_ITS_OWN: dict[str, Callable[[Telling], dict[str, str]]] = {
    "gateway": _gateway,
    "ingest": _ingest,
    "metric": _metric,
    "registry": _registry,
    "trainer": _trainer,
}
