"""Signing in with an account elsewhere, against providers on the loopback."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fake_provider import CLIENT, SECRET, FakeProvider, fake_provider
from gateway_bench import PASSWORD, Site, serving_site
from joserfc.jwk import RSAKey

MEI = {"email": "mei@example.org", "name": "Mei Lin", "password": PASSWORD}


@pytest.fixture
async def provider(unused_port: int) -> AsyncIterator[FakeProvider]:
    async with fake_provider(unused_port) as running:
        yield running


@pytest.fixture
async def site(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, provider: FakeProvider
) -> AsyncIterator[Site]:
    common = {"client_id": CLIENT, "client_secret": SECRET}
    providers = [
        {"id": "orcid", "issuer": provider.url} | common,
        {
            "id": "github",
            "authorize_url": f"{provider.url}/authorize",
            "token_url": f"{provider.url}/token",
            "person_url": f"{provider.url}/user",
        }
        | common,
    ]
    env = gateway_env | {
        "POTLUCK_GATEWAY_PROVIDERS": json.dumps(providers),
        "POTLUCK_GATEWAY_PUBLIC_URL": f"http://{gateway_env['POTLUCK_GATEWAY_ADDRESS']}",
    }
    async with serving_site(env, monkeypatch, with_pages=True) as served:
        yield served


def browser(site: Site) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=site.url, follow_redirects=True, headers={"accept": "text/html"}, timeout=30)


async def me(client: httpx.AsyncClient) -> dict[str, Any] | None:
    answer = await client.get("/api/v1/me")
    return answer.json() if answer.status_code == 200 else None


async def test_somebody_new_is_asked_for_an_address_and_comes_back(site: Site) -> None:
    async with browser(site) as first:
        finish = await first.get("/sign-in/with/orcid?next=/upload")
        assert finish.url.path == "/sign-up/finish"
        assert 'value="Mei Lin"' in finish.text
        wrong = await first.post("/sign-up/finish", data={"name": "Mei Lin", "email": "mei"})
        assert wrong.status_code == 422
        assert "This is not an e-mail address." in wrong.text
        done = await first.post("/sign-up/finish", data={"name": "Mei Lin", "email": "mei@example.org"})
        assert done.url.path == "/upload"
        assert (await me(first) or {})["email"] == "mei@example.org"
        again = await first.post("/sign-up/finish", data={"name": "Mei Lin", "email": "other@example.org"})
        assert again.status_code == 404
    async with browser(site) as later:
        assert (await later.get("/sign-in/with/orcid?next=/queue")).url.path == "/queue"
        assert (await me(later) or {})["email"] == "mei@example.org"
        assert "0000-0002-1825-0097" in (await later.get("/account")).text


async def test_a_provider_without_openid(site: Site, provider: FakeProvider) -> None:
    provider.person = {"id": 7, "login": "mei", "name": None, "email": "mei@example.org"}
    async with browser(site) as client:
        finish = await client.get("/sign-in/with/github")
        assert 'name="name" type="text" value="mei"' in finish.text
        assert 'value="mei@example.org"' not in finish.text  # nobody says that it is verified
        await client.post("/sign-up/finish", data={"name": "Mei", "email": "mei@example.org"})
        assert (await me(client) or {})["name"] == "Mei"


async def test_an_address_that_has_an_account_is_not_taken_over(site: Site, provider: FakeProvider) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    provider.person |= {"email": "mei@example.org", "email_verified": True}
    async with browser(site) as client:
        await client.get("/sign-in/with/orcid")
        taken = await client.post("/sign-up/finish", data={"name": "Mei", "email": "mei@example.org"})
        assert taken.status_code == 409
        assert await me(client) is None
        # The way that is open: the password once, then connect.
        await client.post("/sign-in", data=MEI | {"next": "/account"})
        connected = await client.get("/sign-in/with/orcid")
        assert connected.url.path == "/account"
        assert "0000-0002-1825-0097" in connected.text
    async with browser(site) as later:
        await later.get("/sign-in/with/orcid")
        assert (await me(later) or {})["email"] == "mei@example.org"


async def test_one_elsewhere_belongs_to_one_here(site: Site) -> None:
    async with browser(site) as mei:
        await mei.get("/sign-in/with/orcid")
        await mei.post("/sign-up/finish", data={"name": "Mei", "email": "mei@example.org"})
        subject = {"provider": "orcid", "subject": "0000-0002-1825-0097"}
        only = await mei.post("/account/identities/disconnect", data=subject)
        assert only.status_code == 409
        assert "you could not sign in again" in only.text
        await mei.post("/account/password", data={"new_password": PASSWORD})
        assert (await mei.post("/account/identities/disconnect", data=subject)).status_code == 200
        assert (await mei.get("/api/v1/identities")).json() == {"identities": []}
        await mei.get("/sign-in/with/orcid")
    await site.http.post("/api/v1/accounts", json=MEI | {"email": "eve@example.org"})
    async with browser(site) as eve:
        await eve.post("/sign-in", data=MEI | {"email": "eve@example.org", "next": "/"})
        refused = await eve.get("/sign-in/with/orcid")
        assert refused.status_code == 409
        assert (await eve.post("/account/identities/disconnect", data=subject)).status_code == 404


FORGED: list[dict[str, Any]] = [
    {"aud": "somebody else"},
    {"iss": "http://evil.example"},
    {"exp": 1_000_000},
    {"nonce": "of another sign-in"},
    {"sub": ""},
]


async def test_what_a_provider_did_not_say_to_us_now_lets_nobody_in(site: Site, provider: FakeProvider) -> None:
    for claims in FORGED:
        provider.claims = claims
        async with browser(site) as client:
            answer = await client.get("/sign-in/with/orcid")
            assert answer.status_code == 400, claims
            assert "did not tell us who you are" in answer.text
    provider.claims = {}
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    async with browser(site) as client:
        assert (await client.get("/sign-in/with/orcid")).status_code == 400
    provider.signs_with = None
    async with browser(site) as client:
        assert (await client.get("/sign-in/with/orcid")).status_code == 200


async def test_a_sign_in_belongs_to_the_browser_that_began_it(site: Site, provider: FakeProvider) -> None:
    """Else a stranger could make somebody sign in as them, or finish what somebody else began."""
    async with browser(site) as mei, browser(site) as eve:
        mei.follow_redirects = False
        begun = await mei.get("/sign-in/with/orcid")
        back = await mei.get(begun.headers["location"])
        assert (await eve.get(back.headers["location"])).status_code == 404
        eve.follow_redirects = False
        await eve.get("/sign-in/with/orcid")
        assert (await eve.get(back.headers["location"])).status_code == 404
        wrong_state = re.sub(r"state=\w+", "state=0", back.headers["location"])
        assert (await mei.get(wrong_state)).status_code == 404
        arrived = await mei.get(back.headers["location"])
        assert arrived.headers["location"] == "/sign-up/finish"
        assert (await mei.get(back.headers["location"])).status_code == 400  # the code was used


async def test_saying_no_there_and_unknown_providers(site: Site, provider: FakeProvider) -> None:
    provider.refuses = True
    async with browser(site) as client:
        answer = await client.get("/sign-in/with/orcid")
        assert answer.status_code == 400
        assert "was not allowed to tell us" in answer.text
        assert (await client.get("/sign-in/with/nobody")).status_code == 404
        away = await client.get("/sign-in/with/orcid?next=https://evil.example/")
        assert away.url.host == "127.0.0.1"


async def test_a_provider_that_is_away(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    away = [{"id": "orcid", "issuer": f"http://127.0.0.1:{unused_port}", "client_id": "x", "client_secret": "y"}]
    env = gateway_env | {
        "POTLUCK_GATEWAY_PROVIDERS": json.dumps(away),
        "POTLUCK_GATEWAY_PUBLIC_URL": "http://potluck.test",
    }
    async with serving_site(env, monkeypatch, with_pages=True) as site, browser(site) as client:
        answer = await client.get("/sign-in/with/orcid")
        assert answer.status_code == 503
        assert "cannot be reached right now" in answer.text
