"""A program whose settings are wrong says which, and never what they hold."""

import os
import subprocess
import sys

import pytest

PROGRAMS = (
    ["gateway"],
    ["gateway", "operator", "list"],
    ["gateway", "reset-link", "ada@example.org"],
    ["ingest"],
    ["metric"],
    ["registry"],
    ["trainer"],
)


@pytest.mark.parametrize("words", PROGRAMS, ids=" ".join)
def test_wrong_settings_are_told_variable_by_variable_without_their_values(words: list[str]) -> None:
    """Logs are read by more people than secrets are for: a validation error would show both."""
    variable = f"POTLUCK_{words[0].upper()}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
    wrong = {
        f"{variable}_NATS_PASSWORD": "a secret",
        f"{variable}_LOG_LEVEL": "a secret too",
        f"{variable}_BLOBS_URL": "",
    }
    wrong[f"{variable}_MAX_ATTEMPTS"] = "hunter2"
    ended = subprocess.run(
        [sys.executable, "-m", *words], env=clean | wrong, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 2, ended.stderr
    lines = ended.stderr.splitlines()
    assert lines
    assert all(line.startswith(f"{variable}_") for line in lines), ended.stderr
    assert "secret" not in ended.stderr
    assert "hunter2" not in ended.stderr
