from pathlib import Path

import pytest
from onemachine.errors import DiskFull
from onemachine.installation import Installation, inherited
from onemachine.settings import OneMachineSettings


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
