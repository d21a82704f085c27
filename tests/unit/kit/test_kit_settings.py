"""Settings come from this service's own variables; every field is described."""

from pathlib import Path

import pytest
from kit.settings import ServiceSettings, service_config
from pydantic import SecretStr, ValidationError


class ExampleSettings(ServiceSettings):
    model_config = service_config("example")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTLUCK_EXAMPLE_BLOBS_URL", "file:///objects")
    monkeypatch.setenv("POTLUCK_EXAMPLE_DATABASE_DSN", "host=secret")
    monkeypatch.setenv("POTLUCK_OTHER_LOG_LEVEL", "DEBUG")
    settings = ExampleSettings()
    assert settings.blobs_url == "file:///objects"
    assert settings.log_level == "INFO"
    assert "secret" not in repr(settings)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "potluck_filed_nats_password").write_text("from a file")
    monkeypatch.setenv("POTLUCK_FILED_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("POTLUCK_FILED_BLOBS_URL", "file:///objects")

    class FiledSettings(ServiceSettings):
        model_config = service_config("filed")

    assert FiledSettings().nats_password == SecretStr("from a file")


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ValidationError, match="blobs_url"):
        ExampleSettings()


def test_every_field_is_described() -> None:
    undescribed = [name for name, field in ServiceSettings.model_fields.items() if not field.description]
    assert not undescribed
