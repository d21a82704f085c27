"""Accounts over HTTP: what is refused, and how."""

import asyncio
import hashlib

import httpx
import pytest
from gateway_bench import PASSWORD, Site, serving_site

MEI = {"email": "mei@example.org", "name": "Mei", "password": PASSWORD}


WRONG_SIGN_UPS = [
    ("email", None),
    ("email", "mei"),
    ("email", "mei @example.org"),
    ("email", "m\x00ei@example.org"),
    ("email", "m" * 250 + "@example.org"),
    ("email", ["mei@example.org"]),
    ("name", ""),
    ("name", "  "),
    ("name", "x" * 101),
    ("name", "a\nb"),
    ("password", "short"),
    ("password", None),
    ("password", "x" * 1001),
    ("password", "MEI@example.org"),
]


@pytest.fixture(autouse=True)
def quick_passwords() -> None:
    """None: these are the tests of true ones."""


async def test_sign_up_names_the_wrong_field(site: Site) -> None:
    for field, value in WRONG_SIGN_UPS:
        answer = await site.http.post("/api/v1/accounts", json=MEI | {field: value})
        assert answer.status_code == 422, (field, value)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["field"] == field
        assert problem["remedy"]
        assert problem["status"] == 422


async def test_every_wrong_field_is_listed(site: Site) -> None:
    answer = await site.http.post("/api/v1/accounts", json={})
    assert {one["field"] for one in answer.json()["errors"]} == {"email", "name", "password"}


WRONG_BODIES = [
    (b"{", "application/json", 400),
    (b'{"email": NaN}', "application/json", 400),
    (b'{"email": "\\ud800"}', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b"\xff", "application/json", 400),
    (b"[]", "application/json", 422),
    (b"a=b", "application/x-www-form-urlencoded", 415),
    (b'{"x": "' + b"y" * (1 << 20) + b'"}', "application/json", 413),
]


async def test_bodies_that_are_no_json_object(site: Site) -> None:
    for content, content_type, status in WRONG_BODIES:
        answer = await site.http.post("/api/v1/accounts", content=content, headers={"content-type": content_type})
        assert answer.status_code == status, content[:40]
        assert answer.json()["detail"]


async def test_an_address_has_one_account(site: Site) -> None:
    assert (await site.http.post("/api/v1/accounts", json=MEI)).status_code == 201
    again = await site.http.post("/api/v1/accounts", json=MEI | {"email": "Mei@Example.org "})
    assert again.status_code == 409
    assert again.json()["field"] == "email"


async def test_cookie_session_from_sign_in_to_sign_out(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    signed_in = await site.http.post("/api/v1/sessions", json=MEI)
    assert signed_in.status_code == 201
    cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    secret = site.http.cookies["potluck-session"]
    assert (await site.http.get("/api/v1/me")).json()["email"] == "mei@example.org"

    stored = await _secrets(site)
    assert await _password_hash(site) != PASSWORD
    assert (await _password_hash(site)).startswith("$argon2id$")
    assert hashlib.sha256(secret.encode()).digest() in stored
    assert secret.encode() not in stored

    await site.http.delete("/api/v1/sessions/current")
    assert "potluck-session" not in site.http.cookies
    stolen = await site.http.get("/api/v1/me", headers={"cookie": f"potluck-session={secret}"})
    assert stolen.status_code == 401
    assert stolen.headers["www-authenticate"].startswith("Bearer")


async def _password_hash(site: Site) -> str:
    async with site.base.database.transaction() as connection:
        cursor = await connection.execute("select password_hash from people")
        row = await cursor.fetchone()
    assert row is not None
    return str(row["password_hash"])


async def _secrets(site: Site) -> set[bytes]:
    async with site.base.database.transaction() as connection:
        cursor = await connection.execute("select secret_sha256 from sessions")
        return {bytes(row["secret_sha256"]) for row in await cursor.fetchall()}


async def test_over_https_the_cookie_is_bound_to_the_host(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_site(gateway_env | {"POTLUCK_GATEWAY_BEHIND_PROXY": "true"}, monkeypatch) as site:
        await site.http.post("/api/v1/accounts", json=MEI)
        answer = await site.http.post("/api/v1/sessions", json=MEI, headers={"x-forwarded-proto": "https"})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-potluck-session=")
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert "max-age" in answer.headers["strict-transport-security"]


async def test_without_a_proxy_its_headers_are_not_believed(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    answer = await site.http.post("/api/v1/sessions", json=MEI, headers={"x-forwarded-proto": "https"})
    assert answer.headers["set-cookie"].startswith("potluck-session=")


async def test_wrong_password_and_unknown_address_look_the_same(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    wrong = await site.http.post("/api/v1/sessions", json=MEI | {"password": "not that sentence"})
    unknown = await site.http.post("/api/v1/sessions", json=MEI | {"email": "nobody@example.org"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/api/v1/tokens"])
async def test_too_many_wrong_passwords(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    limits = {"POTLUCK_GATEWAY_SIGN_IN_ATTEMPTS": "3", "POTLUCK_GATEWAY_BEHIND_PROXY": "true"}
    async with serving_site(gateway_env | limits, monkeypatch) as site:
        await site.http.post("/api/v1/accounts", json=MEI)
        wrong = MEI | {"password": "not that sentence"}
        answers = await asyncio.gather(*(site.http.post(path, json=wrong) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 3
        right = await site.http.post(path, json=MEI)
        assert right.status_code == 429
        assert int(right.headers["retry-after"]) > 0
        elsewhere = await site.http.post(path, json=MEI, headers={"x-forwarded-for": "198.51.100.7"})
        assert elsewhere.status_code == 201


async def test_a_success_forgives_earlier_attempts(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_site(gateway_env | {"POTLUCK_GATEWAY_SIGN_IN_ATTEMPTS": "2"}, monkeypatch) as site:
        await site.http.post("/api/v1/accounts", json=MEI)
        for _ in range(3):
            wrong = await site.http.post("/api/v1/sessions", json=MEI | {"password": "not that sentence"})
            assert wrong.status_code == 401
            assert (await site.http.post("/api/v1/sessions", json=MEI)).status_code == 201


async def test_tokens_are_shown_once_listed_and_revoked(site: Site) -> None:
    mei = await site.join("mei")
    listed = (await mei.request("GET", "/api/v1/tokens")).json()["tokens"]
    assert [one["name"] for one in listed] == ["test"]
    assert mei.headers["Authorization"].split()[1] not in str(listed)
    assert listed[0]["last_used"] is not None

    eve = await site.join("eve")
    assert (await eve.request("DELETE", f"/api/v1/tokens/{listed[0]['id']}")).status_code == 404
    assert (await mei.request("GET", "/api/v1/me")).status_code == 200
    assert (await mei.request("DELETE", f"/api/v1/tokens/{listed[0]['id']}")).status_code == 204
    revoked = await mei.request("GET", "/api/v1/me")
    assert revoked.status_code == 401
    assert "invalid_token" in revoked.headers["www-authenticate"]


WRONG_NAMES = [None, "", "x" * 101, 7]


async def test_a_token_needs_a_name(site: Site) -> None:
    for name in WRONG_NAMES:
        answer = await site.http.post("/api/v1/tokens", json=MEI | {"name": name})
        assert answer.status_code == 422
        assert answer.json()["field"] == "name"


WRONG_TOKENS = ["Bearer nonsense", "Basic bWVpOnB3", "Bearer"]


async def test_a_wrong_token_is_an_error_even_where_strangers_may_read(site: Site) -> None:
    for authorization in WRONG_TOKENS:
        answer = await site.http.get("/api/v1/datasets", headers={"authorization": authorization})
        assert answer.status_code == 401


ORIGINS: list[tuple[dict[str, str], int]] = [
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"sec-fetch-site": "same-origin", "origin": "http://whatever"}, 204),
    ({"sec-fetch-site": "none"}, 204),
    ({}, 204),
]


async def test_writes_from_other_sites(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    for headers, status in ORIGINS:
        await site.http.post("/api/v1/sessions", json=MEI)
        answer = await site.http.delete("/api/v1/sessions/current", headers=headers)
        assert answer.status_code == status, headers
        still_in = (await site.http.get("/api/v1/me")).status_code == 200
        assert still_in == (status == 403)


async def test_responses_carry_the_security_headers(site: Site) -> None:
    for path in ("/health/live", "/api/v1/datasets", "/api/v1/nowhere"):
        answer: httpx.Response = await site.http.get(path)
        assert "require-trusted-types-for 'script'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
