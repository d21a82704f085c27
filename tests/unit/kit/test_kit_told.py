"""A program that is told wrong things at start says which, and ends."""

import os
import subprocess
import sys
from pathlib import Path

import patience
import pytest
from certificates import Authority

OUTSIDE = "10.0.0.7:50051"
REGISTRY = {
    "BLOBS_URL": "file:///objects",
    "GROWTH_POLICY": "growth.json",
    "OPEN_QUERIES": "true",
    "ADDRESS": OUTSIDE,
    "SIGNING_KEY": "11" * 32,
}
TRAINER = {"BLOBS_URL": "file:///objects", "PRESETS": "presets", "REGISTRY_ADDRESS": OUTSIDE}


def started(service: str, variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and last words of a service with these settings alone."""
    own = {f"POTLUCK_{service.upper()}_{name}": value for name, value in variables.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
    done = subprocess.run(
        [sys.executable, "-m", service],
        env={**kept, **own},
        capture_output=True,
        text=True,
        timeout=patience.SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("service", "variables", "sentence"),
    [
        ("registry", REGISTRY, f"anyone who reaches {OUTSIDE} could lease rounds and hand in models: set fleet_token"),
        (
            "registry",
            {**REGISTRY, "TLS_CLIENT_CA": "ca.pem"},
            "tls_client_ca asks callers for certificates: set tls_certificate and tls_key too",
        ),
        (
            "registry",
            {**REGISTRY, "FLEET_TOKEN": "x", "TLS_CERTIFICATE": "c.pem", "TLS_KEY": "k.pem"},
            "c.pem cannot be read: No such file or directory",
        ),
        ("registry", {**REGISTRY, "SIGNING_KEY": "secret"}, "openssl rand -hex 32"),
        ("trainer", TRAINER, f"the registry at {OUTSIDE} would not know this worker: set fleet_token"),
        ("trainer", {**TRAINER, "FLEET_TOKEN": "x", "LAUNCHER": "magic"}, "POTLUCK_TRAINER_LAUNCHER: Input should be"),
        (
            "trainer",
            {**TRAINER, "FLEET_TOKEN": "x", "LAUNCHER": "dpdispatcher"},
            "launcher dpdispatcher needs dpdispatcher_file",
        ),
        (
            "trainer",
            {**TRAINER, "FLEET_TOKEN": "x", "LAUNCHER": "torchrun", "TORCHRUN_NODES": "2"},
            "torchrun on several nodes needs torchrun_prefix",
        ),
    ],
)
def test_wrong_settings_end_the_start_with_a_sentence(service: str, variables: dict[str, str], sentence: str) -> None:
    code, words = started(service, variables)
    assert code == 2
    assert sentence in words
    assert "Traceback" not in words


def test_a_key_of_another_certificate_is_refused_at_start(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    certificate, _ = ours.sign("10.0.0.7")
    _, key = theirs.sign("10.0.0.7")
    code, words = started(
        "registry", {**REGISTRY, "FLEET_TOKEN": "x", "TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key)}
    )
    assert code == 2
    assert "KEY_VALUES_MISMATCH" in words
    assert "Traceback" not in words
