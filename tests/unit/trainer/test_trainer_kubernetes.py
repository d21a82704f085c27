"""deploy/kubernetes without a cluster: what the manifests say is what the code takes.

Keys are those of the Kubernetes API that we use: one that is misspelt would be dropped by the cluster without a word.
"""

import os
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from kit.health import Health
from starlette.routing import Route
from trainer.settings import TrainerSettings

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
PREFIX = "POTLUCK_TRAINER_"
KEYS = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"replicas", "selector", "strategy", "template"},
    "spec.strategy": {"type", "rollingUpdate"},
    "spec.strategy.rollingUpdate": {"maxSurge", "maxUnavailable"},
    "spec.selector": {"matchLabels"},
    "spec.template": {"metadata", "spec"},
    "spec.template.spec": {
        "automountServiceAccountToken", "terminationGracePeriodSeconds", "containers", "volumes", "nodeSelector",
        "tolerations", "securityContext", "imagePullSecrets",
    },
}  # fmt: skip
CONTAINER = {
    "name", "image", "command", "args", "env", "readinessProbe", "livenessProbe", "resources", "volumeMounts",
    "securityContext", "ports",
}  # fmt: skip
PROBE = {"httpGet", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"}
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "": 1}


def deployments() -> list[Any]:
    found = [one for path in FILES for one in yaml.safe_load_all(path.read_text())]
    assert found
    return found


def at(document: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        document = document[name]
    return document


@pytest.fixture
def deployment() -> Any:
    (one,) = deployments()
    return one


@pytest.fixture
def container(deployment: Any) -> Any:
    (one,) = deployment["spec"]["template"]["spec"]["containers"]
    return one


@pytest.fixture
def settings(container: Any, monkeypatch: pytest.MonkeyPatch) -> TrainerSettings:
    """As a pod reads them; what the cluster fills in is a name and a token."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for one in container["env"]:
        assert one.keys() in ({"name", "value"}, {"name", "valueFrom"})
        monkeypatch.setenv(one["name"], one.get("value", "filled-in-by-the-cluster"))
    return TrainerSettings()


def size(told: str) -> int:
    unit = next(unit for unit in UNITS if told.endswith(unit))
    return int(told.removesuffix(unit)) * UNITS[unit]


@pytest.mark.parametrize("path", KEYS)
def test_no_key_is_misspelt(deployment: Any, path: str) -> None:
    assert at(deployment, path).keys() <= KEYS[path]


def test_it_is_a_deployment_whose_pods_are_found_again(deployment: Any) -> None:
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_every_variable_is_a_setting_and_has_a_value_that_it_takes(container: Any, settings: TrainerSettings) -> None:
    names = [one["name"] for one in container["env"]]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.startswith(PREFIX)
        assert name.removeprefix(PREFIX).lower() in TrainerSettings.model_fields
        value = next(one.get("value") for one in container["env"] if one["name"] == name)
        assert value is None or isinstance(value, str), f"{name}: the API takes strings, not {value!r}"
    assert settings.fleet_token is not None
    assert settings.worker_id == "filled-in-by-the-cluster"


def test_what_the_cluster_fills_in_is_something_that_it_knows(container: Any) -> None:
    sources = {one["name"]: one["valueFrom"] for one in container["env"] if "valueFrom" in one}
    assert sources[f"{PREFIX}WORKER_ID"] == {"fieldRef": {"fieldPath": "metadata.name"}}, "unique for each pod"
    secret = sources[f"{PREFIX}FLEET_TOKEN"]["secretKeyRef"]
    assert secret.keys() == {"name", "key"}
    (path,) = FILES
    told = path.read_text().split("apiVersion", 1)[0]
    assert secret["name"] in told, "the comment names the Secret that an operator makes"
    assert secret["key"] in told


@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_probes_ask_what_a_trainer_answers(container: Any, settings: TrainerSettings, probe: str) -> None:
    asked = container[probe]
    assert asked.keys() <= PROBE
    routes = {route.path for route in Health().routes() if isinstance(route, Route)}
    assert asked["httpGet"]["path"] in routes
    assert ("ready" in asked["httpGet"]["path"]) is (probe == "readinessProbe")
    assert settings.health_address is not None
    host, _, port = settings.health_address.rpartition(":")
    assert host == "0.0.0.0", "the kubelet asks from outside of the pod"
    assert asked["httpGet"]["port"] == int(port)


def test_a_pod_has_the_time_and_the_room_that_a_trainer_takes(
    deployment: Any, container: Any, settings: TrainerSettings
) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 2 * settings.stop_seconds
    volumes = {one["name"]: one["emptyDir"] for one in pod["volumes"]}
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert set(mounts.values()) == volumes.keys()
    assert size(volumes[mounts[str(settings.work_folder)]]["sizeLimit"]) > 2 * settings.cache_bytes
    assert volumes[mounts["/dev/shm"]]["medium"] == "Memory"
    wanted, most = container["resources"]["requests"], container["resources"]["limits"]
    assert size(wanted["memory"]) <= size(most["memory"])
    assert wanted["nvidia.com/gpu"] == most["nvidia.com/gpu"], "devices are not overcommitted"


def test_what_it_starts_is_in_the_image(container: Any, settings: TrainerSettings) -> None:
    """The image is this checkout under /app."""
    program, option, module = container["command"]
    assert (program, option) == ("python", "-m")
    assert find_spec(f"{module}.__main__") is not None
    assert (ROOT / PurePosixPath(settings.presets).relative_to("/app")).is_dir()
