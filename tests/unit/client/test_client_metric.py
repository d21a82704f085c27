"""`potluck metric`: the report with its files on this disk, and the check repeated."""

import hashlib
import io
import json
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import potluck.cli.options
import pytest
from potluck.cli.app import run
from potluck.cli.options import where
from potluck.client import Client
from potluck.errors import PotluckError

Command = Callable[..., int]
PNG = b"\x89PNG"


@pytest.fixture
def command(new_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `potluck …` signed in, against the server in memory; the exit code."""
    monkeypatch.setattr(potluck.cli.options, "Client", lambda server, **_: new_client())

    def potluck_command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        return int(ended.value.code or 0)

    return potluck_command


def file(fake: Any, name: str, content: bytes, kind: str) -> dict[str, Any]:
    fake.files[name] = content
    url = f"/api/v1/datasets/d/{kind}/{name}"
    return {"url": url, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


@pytest.fixture
def judged(fake: Any) -> dict[str, Any]:
    """A dataset `d` with a report."""
    fake.datasets["d"] = {"id": "d", "name": "SiC", "stage": "queue", "state": "passed"}
    rule = {"rule": "force-cap", "passed": False, "sentence": "1 frame is above [50 eV/Å].", "numbers": {}}
    fake.reports["d"] = {
        "sound": {"rule": "sound", "passed": True, "sentence": "All frames are sound."},
        "new": {"rule": "new", "passed": True, "sentence": "3 % are covered."},
        "checks": [rule, {"rule": "scf-converged", "passed": False, "unknown": True, "sentence": "No file tells."}],
        "pictures": {
            "map.svg": file(fake, "map.svg", b"<svg/>", "pictures"),
            "map.png": file(fake, "map.png", PNG, "pictures"),
        },
        "tables": {"frames.csv": file(fake, "frames.csv", b"index", "tables")},
    }
    return dict(fake.reports["d"])


def test_a_report_is_saved_with_all_its_files(
    command: Command, judged: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "report"
    assert command("metric", "report", "d", "--save", str(folder)) == 0
    said = capsys.readouterr().out
    assert "✓ sound: All frames are sound." in said
    assert "1 frame is above [50 eV/Å]." in said
    marks = {line.split()[0]: line.split()[1] for line in said.splitlines() if line.startswith(("force", "scf"))}
    assert marks == {"force-cap": "✗", "scf-converged": "?"}
    assert {path.name for path in folder.iterdir()} == {"report.json", "map.svg", "map.png", "frames.csv"}
    assert json.loads((folder / "report.json").read_text()) == judged
    assert (folder / "map.png").read_bytes() == PNG


def test_bytes_that_are_not_those_of_the_report_are_not_kept(
    command: Command, judged: dict[str, Any], fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.files["frames.csv"] = b"INDEX"
    assert command("metric", "report", "d", "--save", str(tmp_path / "r")) == 1
    assert "SHA-256 differs" in capsys.readouterr().err
    assert not (tmp_path / "r" / "frames.csv").exists()


def test_a_report_for_a_script(command: Command, judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("metric", "report", "d", "--json") == 0
    assert json.loads(capsys.readouterr().out) == judged


def rerun(state: str, **facts: Any) -> dict[str, Any]:
    return {"id": "r", "state": state, **facts}


def test_the_same_again_ends_well(
    command: Command, judged: dict[str, Any], fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = rerun("done", same=True, numbers=212)
    fake.reruns["d"] = deque([rerun("running"), rerun("running"), rerun("running"), done])
    assert command("metric", "rerun", "d") == 0
    assert "the same verdict and the same 212 numbers" in capsys.readouterr().out
    assert fake.requests("POST", "datasets/d/metric/reruns")[0]["idempotency-key"]


def test_another_result_is_shown_and_does_not_end_well(
    command: Command, judged: dict[str, Any], fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = rerun(
        "done",
        same=False,
        outcome_before="passed",
        outcome_after="covered",
        differences=[
            {"name": "coverage", "before": 0.2, "after": 0.95},
            {"name": "gone", "before": 1.0, "after": None},
        ],
        versions_changed={"torch": "2.11.0 → 2.12.0"},
    )
    fake.reruns["d"] = deque([rerun("running"), done])
    assert command("metric", "rerun", "d") == 4
    said = capsys.readouterr().out
    assert "another verdict: passed before, covered now" in said
    assert "coverage: 0.2 → 0.95" in said
    assert "gone: 1 → –" in said
    assert "torch: 2.11.0 → 2.12.0" in said


def test_one_that_is_under_way_is_joined(command: Command, judged: dict[str, Any], fake: Any) -> None:
    refused = {"type": "urn:potluck:problem:rerun-running"}
    fake.reruns["d"] = deque([refused, rerun("running"), rerun("done", same=True)])
    assert command("metric", "rerun", "d") == 0


def test_one_that_could_not_be_run_is_a_failure(command: Command, judged: dict[str, Any], fake: Any) -> None:
    fake.reruns["d"] = deque([rerun("running"), rerun("failed", sentence="no such model")])
    assert command("metric", "rerun", "d") == 1


def test_patience_ends(command: Command, judged: dict[str, Any], fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake.reruns["d"] = deque([rerun("running"), rerun("running")])
    assert command("metric", "rerun", "d", "--timeout", "10") == 1
    assert "It goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dataset", "server", "expected"),
    [
        ("abc", None, ("abc", None)),
        ("https://potluck.example/datasets/abc", None, ("abc", "https://potluck.example")),
        ("https://potluck.example/datasets/abc#h-metric", None, ("abc", "https://potluck.example")),
        ("https://potluck.example/api/v1/datasets/abc/metric", None, ("abc", "https://potluck.example")),
        ("https://potluck.example/datasets/abc", "http://other", ("abc", "http://other")),
        ("/datasets/abc", None, ("abc", None)),
    ],
)
def test_ids_and_addresses(dataset: str, server: str | None, expected: tuple[str, str | None]) -> None:
    assert where(dataset, server) == expected


def test_an_address_of_something_else_is_told() -> None:
    with pytest.raises(PotluckError, match="not the address of a dataset"):
        where("https://potluck.example/models/1.1", None)
