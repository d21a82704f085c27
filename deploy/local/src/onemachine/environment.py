"""The settings of each service, as environment variables: POTLUCK_<SERVICE>_<SETTING>."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onemachine.settings import OneMachineSettings

Secret = Callable[[str], str]
PUBLIC_TOKEN = "registry-public"  # noqa: S105 - its name
"""The secret that who queries the registry from elsewhere shows."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens: ports of the loopback, but for the site's host."""

    gateway: tuple[str, int]
    nats: int
    nats_monitor: int
    registry: int
    health: Mapping[str, int]
    regions: Mapping[str, int] = field(default_factory=dict)
    """Unit → port of the gateways of further regions."""
    registry_public: int = 0
    """Where strangers query the registry, on the site's host."""

    @property
    def registry_address(self) -> str:
        return f"127.0.0.1:{self.registry}"

    @property
    def registry_public_address(self) -> str:
        """As programs on this machine call it."""
        return site_address(self.gateway[0], self.registry_public).removeprefix("http://")

    @property
    def site(self) -> str:
        return site_address(*self.gateway)


def site_address(host: str, port: int) -> str:
    """As people on this machine type it."""
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
    return _named(service, values)


def of_this_unit_alone(told: Telling, unit: str) -> dict[str, str]:
    """What the gateway of a further region is told, whatever an operator exported for gateways; else nothing."""
    if unit not in told.addresses.regions:
        return {}
    place = list(told.addresses.regions).index(unit) + 1
    values = {
        "address": _bound(told.addresses.gateway[0], told.addresses.regions[unit]),
        "health_address": f"127.0.0.1:{told.addresses.health[unit]}",
        "region": _region_id(place),
        "uploads_folder": str(told.state / f"incoming-{_region_id(place)}"),
    }
    return _named("gateway", values)


def _named(service: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"POTLUCK_{service.upper()}_{name.upper()}": value for name, value in values.items()}


def _bound(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _gateway(told: Telling) -> dict[str, str]:
    values = {
        "address": _bound(*told.addresses.gateway),
        "registry_address": told.addresses.registry_address,
        "registry_operator_token": told.secret("registry-operator"),
        "download_secret": told.secret("downloads"),
    }
    if told.addresses.regions:
        values["regions"] = json.dumps(_regions(told))
    return values


def _regions(told: Telling) -> list[dict[str, str]]:
    """The site's own lies in the storage that all services share."""
    host = told.addresses.gateway[0]
    ports = (told.addresses.gateway[1], *told.addresses.regions.values())
    found = []
    for place, (title, port) in enumerate(zip(told.settings.regions, ports, strict=True)):
        folder = "blobs" if place == 0 else f"blobs-{_region_id(place)}"
        found.append(
            {
                "id": _region_id(place),
                "title": title,
                "store_url": (told.state / folder).as_uri(),
                "upload_url": site_address(host, port),
            }
        )
    return found


def _region_id(place: int) -> str:
    return f"region-{place + 1}"


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
        "public_address": _bound(told.addresses.gateway[0], told.addresses.registry_public),
        # Without it on this machine, with it from elsewhere.
        "public_tokens": json.dumps({"this-machine": told.secret(PUBLIC_TOKEN)}),
        "download_url": told.addresses.site,
        "download_secret": told.secret("downloads"),
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
