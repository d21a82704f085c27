"""The main job, as `make demo EXIT=1` does it: archives in at one end, a better model out at the other."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECONDS = 1200.0


@pytest.fixture(scope="module")
def demo(server_folder: Path) -> subprocess.CompletedProcess[str]:
    """One run for all tests here."""
    command = [sys.executable, "-m", "onemachine", "demo", "--exit", "--state", str(server_folder / "demo-state")]
    return subprocess.run(
        [*command, "--timeout", str(SECONDS)], capture_output=True, text=True, check=False, timeout=SECONDS + 120
    )


@pytest.fixture
def report(demo: subprocess.CompletedProcess[str], server_folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((server_folder / "demo-state" / "demo-report.json").read_text())
    return content


# The first test to ask for the demo waits for it.
pytestmark = pytest.mark.timeout(SECONDS + 180)


def test_everything_came_true(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stdout[-6000:] + demo.stderr[-2000:]
    assert "✗" not in demo.stdout


def test_silicon_carbide_grew_the_model(report: dict[str, Any]) -> None:
    carbide = report["contributions"][0]
    assert (carbide["stage"], carbide["verdict"], carbide["model"]) == ("done", "passed", "1.1")
    assert carbide["coverage"] < 0.9
    assert carbide["force_rmse_after_mev_per_angstrom"] <= carbide["force_rmse_zero_shot_mev_per_angstrom"] / 2
    assert carbide["name"] in report["models"][0]["datasets"]


def test_known_damaged_and_empty_archives_came_to_their_ends(report: dict[str, Any]) -> None:
    assert [one["verdict"] for one in report["contributions"]] == ["passed", "covered", "covered", "rejected"]
    assert {one["stage"] for one in report["contributions"]} == {"done"}
    assert report["contributions"][1]["coverage"] >= 0.9


def test_there_are_two_models_and_one_line_of_growth(report: dict[str, Any]) -> None:
    newest, first = report["models"]
    assert (first["version"], first["parent"]) == ("1.0", None)
    assert (newest["version"], newest["parent"]) == ("1.1", "1.0")
    assert newest["contributors"] == ["demo contributor"]
    assert all(len(file["sha256"]) == 64 and file["size"] > 0 for file in newest["files"])


def test_timings_are_those_of_one_run(report: dict[str, Any]) -> None:
    timings = report["timings"]
    assert timings["platform_ready_seconds"] < timings["model_1.0_seconds"] < timings["model_1.1_seconds"]
    assert timings["model_1.1_seconds"] <= timings["total_seconds"]


def test_one_trace_goes_from_the_upload_to_the_published_model(server_folder: Path) -> None:
    traces: dict[str, set[tuple[str, str]]] = {}
    for file in (server_folder / "demo-state/demo/state/logs").glob("*.traces.jsonl"):
        for span in map(json.loads, file.read_text().splitlines()):
            service = span["resource"]["attributes"]["service.name"]
            traces.setdefault(span["context"]["trace_id"], set()).add((service, span["name"]))
    whole = {
        ("gateway", "POST /api/v1/datasets"),
        ("ingest", "ingest.parse"),
        ("metric", "metric.judge"),
        ("registry", "potluck.dataset.metric-passed process"),
        ("trainer", "train"),
        ("registry", "/contracts.fleet.v1.FleetService/Submit"),
        ("gateway", "potluck.model.published process"),
    }
    # Models 1.0 and 1.1: each in the trace of the upload that caused its round.
    assert sum(whole <= spans for spans in traces.values()) == 2


def test_nothing_runs_afterwards(demo: subprocess.CompletedProcess[str], server_folder: Path) -> None:
    command = [sys.executable, "-m", "onemachine", "status", "--state", str(server_folder / "demo-state/demo/state")]
    assert "not running" in subprocess.run(command, capture_output=True, text=True, check=False).stdout
