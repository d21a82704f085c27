import stat
from pathlib import Path

from onemachine.secrets import Secrets


def test_a_secret_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    first = Secrets(tmp_path / "secrets").get("nats-ingest")
    assert len(first) == 64
    assert Secrets(tmp_path / "secrets").get("nats-ingest") == first
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "secrets" / "nats-ingest").stat().st_mode) == 0o600


def test_secrets_differ(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    assert secrets.get("a") != secrets.get("b")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "b"]
