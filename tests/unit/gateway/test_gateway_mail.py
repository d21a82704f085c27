"""Words of mails, and settings that would send them into nowhere."""

import pytest
from gateway.forms.account_fields import needed_scope
from gateway.pages.words import browser
from gateway.people.mail import Letter, letter
from gateway.settings import GatewaySettings


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nobody_writes_into_the_head_of_a_mail(language: str) -> None:
    told = letter(language, Letter.STAGE, dataset="Water\r\nBcc: all@example.org", outcome="read", link="http://x/")
    assert "\n" not in told.subject
    assert "Water Bcc: all@example.org" in told.subject


@pytest.mark.parametrize("kind", list(Letter))
def test_both_languages_say_the_same_values(kind: Letter) -> None:
    values = {
        "name": "Mei",
        "url": "https://example.org",
        "link": "http://x/1",
        "hours": "2",
        "dataset": "SiC",
        "outcome": "read",
    }
    written = [letter(language, kind, **values) for language in ("en", "zh")]
    for value in values.values():
        assert len({value in told.subject + told.body for told in written}) == 1


WRONG = [
    ({"smtp_host": "mail"}, "MAIL_FROM"),
    ({"smtp_host": "mail", "mail_from": "a@example.org"}, "PUBLIC_URL"),
    ({"smtp_password": "x", "smtp_security": "none"}, "in the clear"),
    ({"providers": [{"id": "orcid", "client_id": "x", "client_secret": "y"}]}, "PUBLIC_URL"),
    ({"providers": [{"id": "orcid", "client_id": "x", "client_secret": "y"}] * 2}, "one id"),
    ({"providers": [{"id": "mine", "title": "Mine", "client_id": "x", "client_secret": "y"}]}, "needs issuer"),
    ({"providers": [{"id": "Mine!", "title": "Mine", "client_id": "x", "client_secret": "y"}]}, "providers"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_settings_that_lead_nowhere(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GatewaySettings.model_validate({"blobs_url": "file:///tmp/blobs"} | values)


def test_what_is_known_of_providers_need_not_be_said() -> None:
    told = {"id": "github", "client_id": "x", "client_secret": "y"}
    settings = GatewaySettings.model_validate(
        {"blobs_url": "file:///tmp/blobs", "public_url": "https://potluck.example", "providers": [told]}
    )
    assert settings.providers[0].title == "GitHub"
    assert "y" not in repr(settings.providers[0].client_secret)


SCOPES = [
    ("GET", "/api/v1/datasets", "read"),
    ("HEAD", "/api/v1/uploads/1", "read"),
    ("PATCH", "/api/v1/uploads/1", "contribute"),
    ("POST", "/api/v1/datasets", "contribute"),
    ("POST", "/api/v1/models/1.1/predictions", "read"),
    ("GET", "/api/v1/me", "read"),
    ("PATCH", "/api/v1/me", "account"),
    ("PUT", "/api/v1/me/password", "account"),
    ("GET", "/api/v1/tokens", "account"),
    ("POST", "/account/tokens", "account"),
]


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
def test_what_a_token_must_be_for(method: str, path: str, scope: str) -> None:
    assert needed_scope(method, path) == scope


BROWSERS = [
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
    ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari, iPhone"),
    ("python-httpx/0.28.1", "python-httpx"),
    ("", ""),
]


@pytest.mark.parametrize(("agent", "words"), BROWSERS)
def test_browsers_in_two_words(agent: str, words: str) -> None:
    assert browser(agent) == words
