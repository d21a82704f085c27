"""Signing in: by the browser, with a token; and what goes wrong on the way."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import potluck.cli.account
import potluck.cli.options
import pytest
from potluck import config
from potluck.cli.app import run
from potluck.client import Client
from potluck.errors import NotSignedIn, UnexpectedAnswer

SERVER = "http://potluck.test"
BEGUN = {
    "secret": "s",
    "code": "BCDF-GHJK",
    "url": f"{SERVER}/device",
    "url_with_code": f"{SERVER}/device?code=BCDF-GHJK",
    "expires": "2026-01-01T00:00:00Z",
    "expires_seconds": 600,
    "interval_seconds": 2,
}


def problem(status: int, rule: str) -> httpx.Response:
    return httpx.Response(status, json={"type": f"urn:potluck:problem:{rule}", "title": rule, "detail": rule})


class Site(httpx.BaseTransport):
    """Answers of the two addresses, in their order; `me` for one token."""

    def __init__(self, *answers: httpx.Response, begun: dict[str, Any] = BEGUN) -> None:
        self.answers, self.begun = list(answers), begun
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/api/v1/sign-ins":
            return httpx.Response(201, json=self.begun)
        if request.url.path == "/api/v1/me":
            known = request.headers.get("Authorization") == "Bearer right"
            me = {"email": "a@b.example", "name": "A B"}
            return httpx.Response(200, json=me) if known else problem(401, "wrong-token")
        return self.answers.pop(0)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path))
    monkeypatch.delenv("POTLUCK_TOKEN", raising=False)
    monkeypatch.delenv("POTLUCK_SERVER", raising=False)

    def client(site: Site, token: str | None = None) -> Client:
        waited = [0.0]

        def sleep(seconds: float) -> None:
            waited[0] += seconds

        return Client(SERVER, token, http=site, sleep=sleep, clock=lambda: waited[0])

    return client


def test_it_asks_until_somebody_approves(at: Callable[..., Client]) -> None:
    site = Site(
        problem(428, "sign-in-waits"),
        problem(429, "sign-in-asked-too-soon"),
        httpx.Response(201, json={"token": "right"}),
    )
    client = at(site)
    assert client.wait_for_browser(client.begin_browser_sign_in("test")) == "right"
    asked = json.loads(site.asked[0].content)
    assert (asked["scopes"], asked["expires_days"]) == (["read", "contribute"], 90)


@pytest.mark.parametrize(("status", "rule"), [(403, "sign-in-denied"), (410, "sign-in-over")])
def test_denied_and_over(at: Callable[..., Client], status: int, rule: str) -> None:
    client = at(Site(problem(status, rule)))
    with pytest.raises(NotSignedIn, match=rule):
        client.wait_for_browser(client.begin_browser_sign_in("test"))


def test_nobody_comes(at: Callable[..., Client]) -> None:
    site = Site(*(problem(428, "sign-in-waits") for _ in range(400)))
    client = at(site)
    with pytest.raises(NotSignedIn, match="in time"):
        client.wait_for_browser(client.begin_browser_sign_in("test"))
    assert len(site.asked) == 301


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "x", ""])
def test_a_page_that_is_none_is_not_opened(at: Callable[..., Client], url: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="no web address"):
        at(Site(begun=BEGUN | {"url_with_code": url})).begin_browser_sign_in("test")


@pytest.fixture
def command(at: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def with_site(site: Site, *arguments: str, stdin: str = "") -> int:
        def connected(server: str | None, token: str | None = None, **_: object) -> Client:
            return at(site, token)

        monkeypatch.setattr(potluck.cli.options, "Client", connected)
        monkeypatch.setattr(potluck.cli.account, "Client", connected)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        return int(ended.value.code or 0)

    return with_site


def test_login_by_browser_for_a_script(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(httpx.Response(201, json={"token": "right"}))
    assert command(site, "login", "--browser", "--json", "--scope", "read", "--days", "7") == 0
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["url_with_code"] == BEGUN["url_with_code"]
    assert "secret" not in first
    assert last["email"] == "a@b.example"
    assert config.token_for(SERVER) == "right"


def test_login_by_browser_says_where_to_go(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(Site(problem(403, "sign-in-denied")), "login", "--browser") == 3
    said = capsys.readouterr().err
    assert str(BEGUN["url_with_code"]) in said
    assert "BCDF-GHJK" in said
    assert "10 min" in said
    assert config.token_for(SERVER) is None


def test_login_with_a_token_looks_at_it_first(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(Site(), "login", "--token-stdin", stdin="wrong\n") == 3
    assert "revoked, has expired" in capsys.readouterr().err
    assert config.token_for(SERVER) is None
    assert command(Site(), "login", "--token-stdin", stdin="\n") == 1
    assert command(Site(), "login", "--token-stdin", "--server", SERVER, stdin="right\n") == 0
    assert config.token_for(SERVER) == "right"
    assert command(Site(), "logout", "--server", SERVER) == 0
    assert config.token_for(SERVER) is None


def test_one_way_at_a_time(command: Callable[..., int]) -> None:
    assert command(Site(), "login", "--browser", "--token-stdin") == 2


def test_whoami(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(Site(), "whoami") == 3
    monkeypatch.setenv("POTLUCK_TOKEN", "right")
    assert command(Site(), "whoami", "--json") == 0
    assert json.loads(capsys.readouterr().out)["email"] == "a@b.example"


def test_a_token_whose_answer_was_lost_is_revoked(at: Callable[..., Client]) -> None:
    shown = problem(409, "shown-once")
    shown.headers["Location"] = "/api/v1/tokens/lost"
    site = Site(shown, httpx.Response(201, json={"token": "right"}), httpx.Response(204))
    assert at(site).new_token("a@b.example", "p", "test") == "right"
    first, second, last = site.asked
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert (last.method, last.url.path, last.headers["Authorization"]) == (
        "DELETE",
        "/api/v1/tokens/lost",
        "Bearer right",
    )


def test_a_request_that_is_still_answered_is_sent_again_with_its_key(at: Callable[..., Client]) -> None:
    busy = problem(409, "request-under-way")
    busy.headers["Retry-After"] = "1"
    site = Site(busy, httpx.Response(201, json={"token": "right"}))
    assert at(site).new_token("a@b.example", "p", "test") == "right"
    assert site.asked[0].headers["Idempotency-Key"] == site.asked[1].headers["Idempotency-Key"]
