"""The settings of each service, as environment variables: POTLUCK_<SERVICE>_<SETTING>."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onemachine.settings import OneMachineSettings


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens: ports of the loopback, but for the site's host."""

    gateway: tuple[str, int]
    nats: int
    nats_monitor: int
    registry: int
    health: Mapping[str, int]

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
    secret: Callable[[str], str],
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
        values |= {
            "nats_url": f"nats://127.0.0.1:{addresses.nats}",
            "nats_user": service,
            "nats_password": nats_password,
        }
    registry = f"127.0.0.1:{addresses.registry}"
    host, port = addresses.gateway
    own: dict[str, dict[str, Callable[[], str]]] = {
        "gateway": {"address": lambda: f"{host}:{port}"},
        "registry": {"address": lambda: registry},
        "metric": {"registry_address": lambda: registry},
        "trainer": {"registry_address": lambda: registry},
    }
    values |= {name: value() for name, value in own.get(service, {}).items()}
    return {f"POTLUCK_{service.upper()}_{name.upper()}": value for name, value in values.items()}
