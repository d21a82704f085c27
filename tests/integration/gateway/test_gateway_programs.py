"""Programs signed in by the browser: approved, denied, expired, replayed, guessed at."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from gateway.people import programs
from gateway_bench import PASSWORD, Site, serving_site

BEGIN, ASK = "/api/v1/sign-ins", "/api/v1/sign-ins/token"
HTML = {"accept": "text/html"}


@pytest.fixture
async def site(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(programs, "INTERVAL_SECONDS", 0.05)
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as served:
        yield served


async def begun(site: Site, **fields: Any) -> dict[str, Any]:
    answer = await site.http.post(BEGIN, json={"name": "potluck on laptop"} | fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def browser(site: Site, name: str) -> dict[str, str]:
    """The cookie of somebody who is signed in."""
    email = f"{name}@example.org"
    await site.http.post("/api/v1/accounts", json={"email": email, "name": name, "password": PASSWORD})
    session = await site.http.post("/api/v1/sessions", json={"email": email, "password": PASSWORD})
    site.http.cookies.clear()
    return HTML | {"cookie": session.headers["set-cookie"].partition(";")[0]}


async def ask(site: Site, secret: object) -> httpx.Response:
    await asyncio.sleep(0.06)
    return await site.http.post(ASK, json={"secret": secret})


async def decide(
    site: Site, who: dict[str, str], code: str, decision: str = "approve", **fields: Any
) -> httpx.Response:
    data = {"code": code, "decision": decision, "scopes": ["read", "contribute"], "expires_days": "30"} | fields
    return await site.http.post("/device", data=data, headers=who)


async def test_a_program_gets_one_token_with_what_was_approved(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    assert waiting["url_with_code"] == f"{site.url}/device?code={waiting['code']}"
    assert (await ask(site, waiting["secret"])).status_code == 428
    page = await site.http.get(waiting["url_with_code"], headers=mei)
    assert page.status_code == 200
    for told in (waiting["code"], "potluck on laptop", "127.0.0.1", "contribute"):
        assert told in page.text
    assert waiting["secret"] not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert (await ask(site, waiting["secret"])).status_code == 428  # looking approves nothing
    done = await decide(site, mei, waiting["code"].lower().replace("-", " "), scopes=["read"])
    assert (done.status_code, done.headers["location"]) == (303, "/device?decided=approved")
    token = await ask(site, waiting["secret"])
    assert token.status_code == 201
    assert (token.json()["scopes"], token.json()["name"]) == (["read"], "potluck on laptop")
    assert token.json()["expires"] is not None
    headers = {"Authorization": f"Bearer {token.json()['token']}"}
    assert (await site.http.get("/api/v1/me", headers=headers)).json()["email"] == "mei@example.org"
    assert (await site.http.post("/api/v1/datasets", json={}, headers=headers)).status_code == 403
    replayed = await ask(site, waiting["secret"])
    assert (replayed.status_code, replayed.json()["type"]) == (410, "urn:potluck:problem:sign-in-over")


async def test_denied_is_told_once_and_over(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    assert (await decide(site, mei, waiting["code"], "deny")).headers["location"] == "/device?decided=denied"
    assert (await ask(site, waiting["secret"])).json()["type"] == "urn:potluck:problem:sign-in-denied"
    assert (await ask(site, waiting["secret"])).status_code == 410
    assert (await decide(site, mei, waiting["code"])).status_code == 422


async def test_what_is_neither_yes_nor_no_is_no(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    await decide(site, mei, waiting["code"], "perhaps")
    assert (await ask(site, waiting["secret"])).status_code == 403


async def test_a_code_is_decided_once(site: Site) -> None:
    """Somebody else who knows the code cannot take over what was approved, nor approve it in their name afterwards."""
    waiting, mei, eve = await begun(site), await browser(site, "mei"), await browser(site, "eve")
    await decide(site, mei, waiting["code"])
    assert (await decide(site, eve, waiting["code"])).status_code == 422
    assert (await decide(site, eve, waiting["code"], "deny")).status_code == 422
    token = (await ask(site, waiting["secret"])).json()["token"]
    who = await site.http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert who.json()["email"] == "mei@example.org"


async def test_many_who_ask_at_once_get_one_token(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    await decide(site, mei, waiting["code"])
    answers = await asyncio.gather(*(site.http.post(ASK, json={"secret": waiting["secret"]}) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [201] + [410] * 7


async def test_expired(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    async with site.base.database.transaction() as connection:
        await connection.execute("update program_sign_ins set expires = now()")
    assert (await ask(site, waiting["secret"])).status_code == 410
    assert (await decide(site, mei, waiting["code"])).status_code == 422


async def test_ten_minutes(site: Site) -> None:
    await begun(site)
    async with site.base.database.transaction() as connection:
        found = await connection.execute("select extract(epoch from expires - created)::int as s from program_sign_ins")
        row: Any = await found.fetchone()
    assert row["s"] == 600


async def test_secrets_are_stored_as_hashes(site: Site) -> None:
    waiting = await begun(site)
    async with site.base.database.transaction() as connection:
        found = await connection.execute("select program_sign_ins::text as row from program_sign_ins")
        kept = str([dict(one) for one in await found.fetchall()])
    for secret in (waiting["secret"], waiting["code"], waiting["code"].replace("-", "")):
        assert secret not in kept
        assert secret.encode().hex() not in kept


@pytest.mark.parametrize("secret", ["", "guess", None, 7, ["x"], "potluck_" + "x" * 5000])
async def test_a_guessed_secret(site: Site, secret: object) -> None:
    await begun(site)
    assert (await ask(site, secret)).status_code == 410


async def test_who_guesses_codes_is_stopped(site: Site) -> None:
    waiting, eve = await begun(site), await browser(site, "eve")
    for number in range(10):
        guess = await site.http.get(f"/device?code=BBBB-BBB{programs.ALPHABET[number]}", headers=eve)
        assert (guess.status_code, "No program waits" in guess.text) == (422, True)
    stopped = await decide(site, eve, "BBBB-CCCC")
    assert stopped.status_code == 429
    # Who has the right code is let through: the account that guesses alone is stopped, and only at wrong ones.
    assert (await site.http.get(waiting["url_with_code"], headers=eve)).status_code == 200


@pytest.mark.parametrize(
    "code", ["", "x", "<script>alert(1)</script>", "'; drop table people; --", "零" * 8, "A" * 4000]
)
async def test_a_code_that_is_none(site: Site, code: str) -> None:
    mei = await browser(site, "mei")
    answer = await decide(site, mei, code)
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text


async def test_a_stranger_is_sent_to_sign_in_and_back(site: Site) -> None:
    waiting = await begun(site)
    sent = await site.http.get(f"/device?code={waiting['code']}", headers=HTML)
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/sign-in?next=%2Fdevice%3Fcode%3D{waiting['code']}"
    assert (await decide(site, HTML, waiting["code"])).status_code == 401


async def test_a_page_of_another_site_cannot_approve(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert (await decide(site, mei | headers, waiting["code"])).status_code == 403
    assert (await ask(site, waiting["secret"])).status_code == 428


async def test_a_token_cannot_let_in_another_with_more_than_itself(site: Site) -> None:
    waiting = await begun(site, scopes=["read", "contribute", "account"])
    body = {"email": "mei@example.org", "password": PASSWORD, "name": "small", "scopes": ["read", "contribute"]}
    await browser(site, "mei")
    small = (await site.http.post("/api/v1/tokens", json=body)).json()["token"]
    refused = await decide(site, HTML | {"Authorization": f"Bearer {small}"}, waiting["code"])
    assert refused.status_code == 403
    assert (await ask(site, waiting["secret"])).status_code == 428


async def test_no_more_is_approved_than_was_asked_for(site: Site) -> None:
    waiting, mei = await begun(site, scopes=["read"]), await browser(site, "mei")
    more = await decide(site, mei, waiting["code"], scopes=["read", "account"])
    assert (more.status_code, "did not ask for" in more.text) == (422, True)
    none = await decide(site, mei, waiting["code"], scopes=[])
    assert none.status_code == 422
    assert (await decide(site, mei, waiting["code"], scopes=["read"], expires_days="-1")).status_code == 422
    assert (await ask(site, waiting["secret"])).status_code == 428


async def test_who_asks_too_often_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = await begun(site)
    monkeypatch.setattr(programs, "INTERVAL_SECONDS", 60)
    first = await site.http.post(ASK, json={"secret": waiting["secret"]})
    second = await site.http.post(ASK, json={"secret": waiting["secret"]})
    assert (first.status_code, second.status_code) == (428, 429)
    assert second.headers["retry-after"] == "60"


async def test_too_many_that_begin_from_one_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "BEGUN_PER_HOUR", 2)
    await begun(site)
    await begun(site)
    third = await site.http.post(BEGIN, json={"name": "x"})
    assert third.status_code == 429
    assert int(third.headers["retry-after"]) > 60


@pytest.mark.parametrize("fields", [{"name": ""}, {"name": "x" * 101}, {"scopes": ["root"]}, {"expires_days": 0}])
async def test_wrong_fields(site: Site, fields: dict[str, Any]) -> None:
    answer = await site.http.post(BEGIN, json={"name": "x"} | fields)
    assert (answer.status_code, answer.json()["field"]) == (422, next(iter(fields)))


async def test_the_page_speaks_chinese(site: Site) -> None:
    waiting, mei = await begun(site), await browser(site, "mei")
    page = await site.http.get(f"/device?code={waiting['code']}&lang=zh", headers=mei)
    assert "允许程序登录" in page.text
    assert "批准" in page.text
