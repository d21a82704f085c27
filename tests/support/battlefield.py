"""The servers of a battle for leases, from the tests' fixtures."""

import json
from collections.abc import Callable
from pathlib import Path

from kit.blobs import Blobs
from kit.bus import connect
from kit.settings import ServiceSettings, service_config
from lease_chaos import POLICY, Aftermath, Battle, environments, worker_environment
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from ports import free_port
from registry_bench import SIGNING_KEY
from trainer_fleet import TOKEN


async def battle(
    service_env: Callable[[str], dict[str, str]], nats: NatsServer, folder: Path, leases: int, most_seconds: float
) -> Aftermath:
    policy = folder / "growth.json"
    policy.write_text(json.dumps(POLICY))
    address = f"127.0.0.1:{free_port()}"
    registry = service_env("registry")
    own = {
        "POTLUCK_REGISTRY_ADDRESS": address,
        "POTLUCK_REGISTRY_GROWTH_POLICY": str(policy),
        "POTLUCK_REGISTRY_FLEET_TOKEN": TOKEN,
        "POTLUCK_REGISTRY_OPEN_QUERIES": "true",
        "POTLUCK_REGISTRY_SIGNING_KEY": SIGNING_KEY.get_secret_value(),
        "POTLUCK_REGISTRY_CHECK_SECONDS": "0.1",
    }
    blobs = registry["POTLUCK_REGISTRY_BLOBS_URL"]
    metric = {key.removeprefix("POTLUCK_METRIC_").lower(): value for key, value in service_env("metric").items()}
    client = await connect(_Metric.model_validate(metric), "metric")
    try:
        async with administration(nats.url, ADMIN, f"nats-password-of-{ADMIN}") as events:
            return await Battle(
                folder=folder,
                registry=environments(registry, own),
                worker=environments({}, worker_environment(address, blobs, folder / "work")),
                dsn=registry["POTLUCK_REGISTRY_DATABASE_DSN"],
                metric=client.jetstream(),
                events=events,
                blobs=Blobs(blobs),
                leases=leases,
            ).fought(most_seconds)
    finally:
        await client.close()


class _Metric(ServiceSettings):
    model_config = service_config("metric")
