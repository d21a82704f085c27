"""What one state folder holds and which units run on it."""

import asyncio
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from onemachine import nats, provision
from onemachine.environment import Addresses, Telling, of_this_unit_alone, service_environment
from onemachine.errors import DiskFull
from onemachine.ports import Ports, require_free
from onemachine.postgres import Postgres
from onemachine.process import Command
from onemachine.secrets import Secrets
from onemachine.settings import OneMachineSettings
from onemachine.supervisor import Stage
from onemachine.unit import Unit


class Installation:
    """The state folder: `postgres`, `nats`, `blobs`, `secrets`, `logs`, `work`, and `ports.json`."""

    def __init__(self, settings: OneMachineSettings) -> None:
        self.settings = settings
        self.state = settings.state.absolute()
        self._secrets = Secrets(self.state / "secrets")

    def prepare(self) -> None:
        """Make the folders. Raises DiskFull."""
        for name in ("blobs", "logs", "work"):
            (self.state / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.require_disk()

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.state).free

    def require_disk(self) -> None:
        free = self.free_bytes()
        wanted = self.settings.min_free_gb * 1e9
        if free < wanted:
            raise DiskFull(
                f"the disk of {self.state} has {free / 1e9:.2f} GB free, and starting asks for"
                f" {wanted / 1e9:.2f} GB. Free some, choose a folder on another disk (--state), or lower the limit"
                " (POTLUCK_ONEMACHINE_MIN_FREE_GB)"
            )

    def addresses(self) -> Addresses:
        """Where everything listens. Raises PortInUse for the site's port; the others are found."""
        ports = Ports(self.state / "ports.json")
        if self.settings.free_ports:
            port = ports.get("gateway")
        else:
            port = self.settings.port
            require_free(self.settings.host, port)
        return Addresses(
            gateway=(self.settings.host, port),
            nats=ports.get("nats"),
            nats_monitor=ports.get("nats-monitor"),
            registry=ports.get("registry"),
            health={unit: ports.get(f"health-{unit}") for unit in self.service_units()},
            registry_public=ports.get("registry-public"),
            regions={unit: ports.get(unit) for unit in self._region_units()},
        )

    def stages(self, addresses: Addresses) -> list[Stage]:
        """PostgreSQL and NATS, then what they must hold, then every service."""
        postgres = self._postgres
        postgres.prepare()
        server = nats.NatsServer(self.state / "nats", self._nats_password, addresses.nats, addresses.nats_monitor)
        server.prepare()
        roles = {role: self._database_password(role) for role in provision.SCHEMAS}

        async def declare() -> None:
            await asyncio.to_thread(provision.provision_database, postgres.dsn(), roles)
            async with provision.administration(server.url, nats.ADMIN, self._nats_password(nats.ADMIN)) as jetstream:
                await provision.provision_nats(jetstream)

        servers = [
            Unit("postgres", postgres.command(), postgres.answers, self.log("postgres")),
            Unit("nats", server.command(), server.answers, self.log("nats")),
        ]
        services = [self._service_unit(unit, service, addresses) for unit, service in self.service_units().items()]
        return [Stage(servers, afterwards=declare), Stage(services)]

    def tidy(self) -> None:
        """After everything has stopped."""
        self._postgres.tidy()

    @cached_property
    def _postgres(self) -> Postgres:
        return Postgres(self.state / "postgres", self._secrets.get("postgres-superuser"))

    @property
    def blobs(self) -> Path:
        return self.state / "blobs"

    def log(self, unit: str) -> Path:
        return self.state / "logs" / f"{unit}.log"

    def service_units(self) -> dict[str, str]:
        """Unit → service."""
        units = {name: name for name in self.settings.services if name != "trainer"}
        if "trainer" in self.settings.services:
            units |= {f"trainer-{number}": "trainer" for number in range(1, self.settings.trainers + 1)}
        return units | dict.fromkeys(self._region_units(), "gateway")

    def _region_units(self) -> list[str]:
        """Gateways of further regions; the first region is the site's own."""
        if "gateway" not in self.settings.services:
            return []
        return [f"gateway-{number}" for number in range(2, len(self.settings.regions) + 1)]

    def _service_unit(self, unit: str, service: str, addresses: Addresses) -> Unit:
        work = self.state / "work" / service
        work.mkdir(exist_ok=True)
        told = Telling(addresses, self.settings, self.state, self._secrets.get)
        own = service_environment(
            told,
            service,
            unit,
            self.dsn(service),
            self._nats_password(service) if service in nats.services() else None,
        )
        environment = inherited(os.environ, service, own) | of_this_unit_alone(told, unit)
        command = Command([sys.executable, "-m", service], environment, folder=work)
        return Unit(unit, command, ready_at(addresses.health[unit]), self.log(unit))

    def dsn(self, service: str) -> str | None:
        if service not in provision.SCHEMAS:
            return None
        return self._postgres.dsn(service, self._database_password(service), provision.DATABASE)

    def _database_password(self, role: str) -> str:
        return self._secrets.get(f"database-{role}")

    def _nats_password(self, user: str) -> str:
        return self._secrets.get(f"nats-{user}")


def inherited(environment: Mapping[str, str], service: str, own: Mapping[str, str]) -> dict[str, str]:
    """What a service sees: the machine's environment, its own settings, and nobody else's.

    A setting of that service which the operator has exported goes before ours.
    """
    prefix = f"POTLUCK_{service.upper()}_"
    shared = {name: value for name, value in environment.items() if not name.startswith("POTLUCK_")}
    exported = {name: value for name, value in environment.items() if name.startswith(prefix)}
    return {**shared, **own, **exported}


def ready_at(port: int) -> Callable[[], bool]:
    """Whether the service whose health address that is takes work."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    return answers
