"""Small rules: settings, who is behind a proxy, which site asks, file names, queries in use."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from gateway.entries.assemble import remedy_of
from gateway.http.security import BehindProxy, SameOrigin
from gateway.people.identity import client_address
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from gateway.uploads.uploads import clean_filename
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send


def scope_of(method: str = "POST", client: str = "192.0.2.1", **headers: str) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "method": method,
        "path": "/",
        "scheme": "http",
        "client": (client, 5),
        "headers": raw,
        "query_string": b"",
    }


async def seen(middleware: type[BehindProxy], scope: Scope, *, believed: bool, public_url: str | None = None) -> Scope:
    inner: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        inner.append(scope)

    await middleware(app, believed=believed, public_url=public_url)(scope, _silence, _nowhere)
    return inner[0]


async def _silence() -> Message:
    return {}


async def _nowhere(_message: Message) -> None:
    return


async def test_only_the_last_hop_is_believed() -> None:
    claimed = {"x_forwarded_for": "203.0.113.9, 198.51.100.7", "x_forwarded_proto": "https"}
    trusted = await seen(BehindProxy, scope_of(**claimed), believed=True)
    assert (trusted["client"][0], trusted["scheme"]) == ("198.51.100.7", "https")
    direct = await seen(BehindProxy, scope_of(**claimed), believed=False)
    assert (direct["client"][0], direct["scheme"]) == ("192.0.2.1", "http")
    public = await seen(BehindProxy, scope_of(), believed=False, public_url="https://potluck.example")
    assert public["scheme"] == "https"


@pytest.mark.parametrize(
    ("allowed", "method", "headers"),
    [
        (True, "GET", {"sec_fetch_site": "cross-site"}),
        (False, "POST", {"sec_fetch_site": "cross-site"}),
        (False, "DELETE", {"sec_fetch_site": "same-site", "origin": "http://potluck.test", "host": "potluck.test"}),
        (True, "POST", {"sec_fetch_site": "same-origin"}),
        (True, "POST", {"origin": "http://potluck.test", "host": "potluck.test"}),
        (True, "POST", {"origin": "https://public.test", "host": "inside:8000"}),
        (False, "POST", {"origin": "http://evil.test", "host": "potluck.test"}),
        (False, "POST", {"origin": "null", "host": "potluck.test"}),
        (True, "POST", {"sec_fetch_site": "cross-site", "authorization": "Bearer x"}),
        (True, "PATCH", {}),
    ],
)
def test_same_origin(allowed: bool, method: str, headers: dict[str, str]) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    async def refuse(_request: Request, _problem: Problem) -> Response:
        raise AssertionError

    assert SameOrigin(app, "https://public.test", refuse).allowed(scope_of(method, **headers)) is allowed


def test_addresses_that_attempts_are_counted_under() -> None:
    assert client_address(Request(scope_of(client="192.0.2.1"))) == "192.0.2.1"
    assert client_address(Request(scope_of(client="2001:db8:1:2:3:4:5:6"))) == "2001:0db8:0001:0002"
    assert client_address(Request(scope_of(client="nonsense"))) == "unknown"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("data.zip", "data.zip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\mei\\data.zip", "data.zip"),
        ("a\x00b\n.zip", "ab.zip"),
        ("硅.zip", "硅.zip"),
        ("", "archive"),
        ("///", "archive"),
        ("x" * 300 + ".tar.gz", "x" * 248 + ".tar.gz"),
    ],
)
def test_file_names(name: str, clean: str) -> None:
    assert clean_filename(name) == clean


def test_uploads_lie_beside_the_objects(tmp_path: Path) -> None:
    settings = GatewaySettings(blobs_url=f"{tmp_path.as_uri()}/blobs", address="[::1]:80")
    assert settings.incoming == tmp_path / "incoming"
    assert settings.host_and_port == ("::1", 80)
    with pytest.raises(ValueError, match="POTLUCK_GATEWAY_UPLOADS_FOLDER"):
        GatewaySettings(blobs_url="s3://bucket/prefix")


def test_every_query_is_described_by_its_use() -> None:
    """A query that nobody runs, or a name without a query, is a mistake."""
    package = files("gateway")
    queries = "\n".join(one.read_text() for one in package.joinpath("queries").iterdir())
    named = set(re.findall(r"^-- name: (\w+)$", queries, re.MULTILINE))
    store = "".join(one.read_text() for one in package.joinpath("stores").iterdir() if one.name.endswith(".py"))
    used = set(re.findall(r'"(\w+)"', store))
    facts = {"set_validated", "set_rejected", "set_looked_into", "set_metric_started"}
    built = facts | {"set_finished", "set_published", "set_withheld"}
    assert named - used - built == set()


@pytest.mark.parametrize(
    ("failed", "said"), [(0.0, "Correct the labels"), (0.05, "Correct the labels"), (0.2, "Look at")]
)
def test_nobody_is_sent_to_look_for_frames_that_did_not_fail(failed: float, said: str) -> None:
    sound = {"numbers": {"failed_fraction": failed, "at_most_failed_fraction": 0.05}}
    assert remedy_of("not-sound", {"sound": sound}).startswith(said)
    assert remedy_of("covered", {"sound": sound}).startswith("There is nothing to put right")


def test_what_to_do_about_an_unsound_dataset_of_which_no_numbers_were_told() -> None:
    assert remedy_of("not-sound", {"sound": {"numbers": {}}}).startswith("Look at")
