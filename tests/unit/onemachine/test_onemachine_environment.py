from hashlib import sha256
from pathlib import Path

import pytest
from gateway.settings import GatewaySettings
from ingest.settings import IngestSettings
from kit.settings import ServiceSettings
from metric.settings import MetricSettings
from onemachine.environment import Addresses, Telling, of_this_unit_alone, service_environment
from onemachine.errors import DiskFull
from onemachine.installation import Installation, inherited
from onemachine.settings import OneMachineSettings
from registry.settings import RegistrySettings
from trainer.settings import TrainerSettings


def test_a_service_sees_its_own_settings_and_nobody_elses() -> None:
    machine = {
        "PATH": "/bin",
        "POTLUCK_INGEST_DATABASE_DSN": "of ingest",
        "POTLUCK_METRIC_MAX_FRAMES": "7",
        "POTLUCK_ONEMACHINE_PORT": "9",
    }
    seen = inherited(machine, "metric", {"POTLUCK_METRIC_NATS_USER": "metric"})
    assert seen == {"PATH": "/bin", "POTLUCK_METRIC_NATS_USER": "metric", "POTLUCK_METRIC_MAX_FRAMES": "7"}


def test_what_the_operator_exported_goes_before_ours() -> None:
    name = "POTLUCK_GATEWAY_ADDRESS"
    assert inherited({name: "0.0.0.0:80"}, "gateway", {name: "127.0.0.1:8000"})[name] == "0.0.0.0:80"


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    installation = Installation(OneMachineSettings(state=tmp_path / "state", min_free_gb=1e9))
    with pytest.raises(DiskFull, match="POTLUCK_ONEMACHINE_MIN_FREE_GB"):
        installation.prepare()


SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "ingest": IngestSettings,
    "metric": MetricSettings,
    "registry": RegistrySettings,
    "trainer": TrainerSettings,
}


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_is_told_what_it_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    addresses = Addresses(("127.0.0.1", 8000), nats=4222, nats_monitor=8222, registry=5000, health={service: 9000})
    told = Telling(
        addresses, OneMachineSettings(state=tmp_path), tmp_path, lambda name: sha256(name.encode()).hexdigest()
    )
    environment = service_environment(told, service, service, "host=/run user=me", "password")

    prefix = f"POTLUCK_{service.upper()}_"
    fields = SETTINGS[service].model_fields
    assert [name for name in environment if name.removeprefix(prefix).lower() not in fields] == []

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = SETTINGS[service]()  # raises when something that it needs is missing
    assert settings.health_address == "127.0.0.1:9000"


def test_both_ends_of_the_registry_know_the_same_tokens(tmp_path: Path) -> None:
    health = dict.fromkeys(SETTINGS, 9000)
    addresses = Addresses(("127.0.0.1", 8000), nats=4222, nats_monitor=8222, registry=5000, health=health)
    told = Telling(addresses, OneMachineSettings(state=tmp_path), tmp_path, lambda name: f"secret {name}")
    registry, metric, trainer = (
        service_environment(told, service, service, None, None) for service in ("registry", "metric", "trainer")
    )
    assert registry["POTLUCK_REGISTRY_FLEET_TOKEN"] == trainer["POTLUCK_TRAINER_FLEET_TOKEN"]
    assert registry["POTLUCK_REGISTRY_QUERY_TOKEN"] == metric["POTLUCK_METRIC_REGISTRY_TOKEN"]
    assert registry["POTLUCK_REGISTRY_ADDRESS"] == metric["POTLUCK_METRIC_REGISTRY_ADDRESS"]
    tokens = [registry[f"POTLUCK_REGISTRY_{whose}_TOKEN"] for whose in ("FLEET", "QUERY", "OPERATOR")]
    assert len(set(tokens)) == 3


def test_what_the_registry_signs_the_gateway_believes(tmp_path: Path) -> None:
    addresses = Addresses(
        ("127.0.0.1", 8000),
        nats=4222,
        nats_monitor=8222,
        registry=5000,
        health=dict.fromkeys(SETTINGS, 9000),
        registry_public=5001,
    )
    told = Telling(addresses, OneMachineSettings(state=tmp_path), tmp_path, lambda name: f"secret {name}")
    registry, gateway = (service_environment(told, one, one, None, None) for one in ("registry", "gateway"))
    assert registry["POTLUCK_REGISTRY_DOWNLOAD_SECRET"] == gateway["POTLUCK_GATEWAY_DOWNLOAD_SECRET"]
    assert registry["POTLUCK_REGISTRY_DOWNLOAD_URL"] == "http://127.0.0.1:8000"
    assert registry["POTLUCK_REGISTRY_PUBLIC_ADDRESS"] == addresses.registry_public_address == "127.0.0.1:5001"


@pytest.mark.parametrize(("host", "anonymous"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_who_queries_from_elsewhere_shows_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, anonymous: bool
) -> None:
    health = dict.fromkeys(SETTINGS, 9000)
    addresses = Addresses(
        (host, 8000), nats=4222, nats_monitor=8222, registry=5000, health=health, registry_public=5001
    )
    told = Telling(
        addresses, OneMachineSettings(state=tmp_path), tmp_path, lambda name: sha256(name.encode()).hexdigest()
    )
    for name, value in service_environment(told, "registry", "registry", "host=/run", "password").items():
        monkeypatch.setenv(name, value)
    settings = RegistrySettings()
    assert settings.anonymous is anonymous
    assert settings.public_tokens


@pytest.mark.parametrize(
    ("host", "site", "bound"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000", "0.0.0.0:8000"),
        ("::1", "http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_the_site_is_shown_as_people_type_it(tmp_path: Path, host: str, site: str, bound: str) -> None:
    addresses = Addresses((host, 8000), nats=4222, nats_monitor=8222, registry=5000, health={"gateway": 9000})
    assert addresses.site == site
    told = Telling(
        addresses, OneMachineSettings(state=tmp_path), tmp_path, lambda name: sha256(name.encode()).hexdigest()
    )
    environment = service_environment(told, "gateway", "gateway", None, None)
    assert environment["POTLUCK_GATEWAY_ADDRESS"] == bound


def test_as_many_trainers_as_asked(tmp_path: Path) -> None:
    two = Installation(OneMachineSettings(state=tmp_path, trainers=2)).service_units()
    assert [unit for unit, service in two.items() if service == "trainer"] == ["trainer-1", "trainer-2"]
    none = Installation(OneMachineSettings(state=tmp_path, trainers=0)).service_units()
    assert set(none) == {"gateway", "ingest", "metric", "registry"}


def test_each_further_region_has_a_gateway_and_a_store_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OneMachineSettings(state=tmp_path, regions=("West", "East"))
    units = Installation(settings).service_units()
    assert [unit for unit, service in units.items() if service == "gateway"] == ["gateway", "gateway-2"]
    health = {"gateway": 9000, "gateway-2": 9001}
    addresses = Addresses(("127.0.0.1", 8000), 4222, 8222, 5000, health, {"gateway-2": 8001})
    told = Telling(addresses, settings, tmp_path, lambda name: sha256(name.encode()).hexdigest())
    found = {}
    for unit in health:
        environment = service_environment(told, "gateway", unit, "host=/run user=me", "password")
        for name, value in (environment | of_this_unit_alone(told, unit)).items():
            monkeypatch.setenv(name, value)
        found[unit] = GatewaySettings()
    west, east = found["gateway"], found["gateway-2"]
    assert (west.address, east.address) == ("127.0.0.1:8000", "127.0.0.1:8001")
    assert (west.region, east.region) == (None, "region-2")
    assert west.regions == east.regions
    assert [one.title for one in west.regions] == ["West", "East"]
    assert west.regions[0].store_url == west.blobs_url
    assert len({one.store_url for one in west.regions}) == 2
    assert west.incoming != east.incoming
