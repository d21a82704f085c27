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


def service_environment(
    *,
    service: str,
    unit: str,
    addresses: Addresses,
    settings: OneMachineSettings,
    state: Path,
    database_dsn: str | None,
    nats_password: str | None,
    secret: Secret,
) -> dict[str, str]:
    """Everything that `service` is told here, and nothing that another one is told."""
    values = {
        "blobs_url": (state / "blobs").as_uri(),
        "health_address": f"127.0.0.1:{addresses.health[unit]}",
        "traces_file": str(state / "logs" / f"{unit}.traces.jsonl"),
    }
    if database_dsn is not None:
        values["database_dsn"] = database_dsn
    if nats_password is not None:
        url = f"nats://127.0.0.1:{addresses.nats}"
        values |= {"nats_url": url, "nats_user": service, "nats_password": nats_password}
    values |= _OF_ITS_OWN.get(service, _nothing)(addresses, settings, secret)
    return {f"POTLUCK_{service.upper()}_{name.upper()}": value for name, value in values.items()}


def _gateway(addresses: Addresses, _settings: OneMachineSettings, _secret: Secret) -> dict[str, str]:
    host, port = addresses.gateway
    return {"address": f"{f'[{host}]' if ':' in host else host}:{port}"}


def _registry(addresses: Addresses, settings: OneMachineSettings, secret: Secret) -> dict[str, str]:
    return {
        "address": addresses.registry_address,
        "growth_policy": str(settings.policy.absolute()),
        "fleet_token": secret("registry-fleet"),
        "query_token": secret("registry-query"),
    }


def _metric(addresses: Addresses, _settings: OneMachineSettings, secret: Secret) -> dict[str, str]:
    return {"registry_address": addresses.registry_address, "registry_token": secret("registry-query")}


def _trainer(addresses: Addresses, settings: OneMachineSettings, secret: Secret) -> dict[str, str]:
    return {
        "registry_address": addresses.registry_address,
        "fleet_token": secret("registry-fleet"),
        "presets": str(settings.presets.absolute()),
    }


def _nothing(_addresses: Addresses, _settings: OneMachineSettings, _secret: Secret) -> dict[str, str]:
    return {}


_OF_ITS_OWN = {"gateway": _gateway, "registry": _registry, "metric": _metric, "trainer": _trainer}
