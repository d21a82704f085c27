"""A person's own things: profile, password, sessions, what tokens may do, a forgotten password, mails."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from contracts.base import DatasetRef
from gateway_bench import PASSWORD, TUS, Outside, Site, eventually, serving_site
from gateway_examples import rejected, validated

MEI = {"email": "mei@example.org", "name": "Mei", "password": PASSWORD}
NEW = "another sentence to remember"


@asynccontextmanager
async def signed_in(site: Site, **fields: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as client:
        answer = await client.post("/api/v1/sessions", json=MEI | fields)
        assert answer.status_code == 201, answer.text
        yield client


async def token(site: Site, **fields: Any) -> dict[str, str]:
    made = await site.http.post("/api/v1/tokens", json=MEI | {"name": "test"} | fields)
    assert made.status_code == 201, made.text
    return {"authorization": f"Bearer {made.json()['token']}"}


async def test_the_profile(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    async with signed_in(site) as mei:
        changed = await mei.patch("/api/v1/me", json={"name": " Mei Lin "})
        assert (changed.json()["name"], changed.json()["mail_when_done"]) == ("Mei Lin", False)
        assert (await mei.patch("/api/v1/me", json={"mail_when_done": True})).json()["name"] == "Mei Lin"
        for wrong in ({"name": ""}, {"name": "a\nb"}, {"mail_when_done": "yes"}):
            refused = await mei.patch("/api/v1/me", json=wrong)
            assert (refused.status_code, refused.json()["field"]) == (422, next(iter(wrong)))
        assert (await mei.get("/api/v1/me")).json()["mail_when_done"] is True


async def test_a_changed_password_ends_the_other_sessions(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    async with signed_in(site) as here, signed_in(site) as there:
        wrong = await here.put("/api/v1/me/password", json={"password": "no", "new_password": NEW})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "password")
        short = await here.put("/api/v1/me/password", json={"password": PASSWORD, "new_password": "short"})
        assert (short.status_code, short.json()["field"]) == (422, "new_password")
        assert (await there.get("/api/v1/me")).status_code == 200
        changed = await here.put("/api/v1/me/password", json={"password": PASSWORD, "new_password": NEW})
        assert changed.status_code == 204
        assert (await there.get("/api/v1/me")).status_code == 401
        assert (await here.get("/api/v1/me")).status_code == 200
        assert (await site.http.post("/api/v1/sessions", json=MEI)).status_code == 401
        assert (await site.http.post("/api/v1/sessions", json=MEI | {"password": NEW})).status_code == 201


async def test_sessions_are_seen_and_ended_by_their_owner(site: Site) -> None:
    for name in ("mei", "eve"):
        await site.http.post("/api/v1/accounts", json=MEI | {"email": f"{name}@example.org"})
    async with signed_in(site) as here, signed_in(site) as there:
        listed = (await here.get("/api/v1/sessions")).json()["sessions"]
        assert [one["current"] for one in listed].count(True) == 1
        other = next(one for one in listed if not one["current"])
        assert other["device"].startswith("python-httpx")
        async with signed_in(site, email="eve@example.org") as eve:
            assert (await eve.delete(f"/api/v1/sessions/{other['id']}")).status_code == 404
        assert (await there.get("/api/v1/me")).status_code == 200
        assert (await here.delete(f"/api/v1/sessions/{other['id']}")).status_code == 204
        assert (await there.get("/api/v1/me")).status_code == 401
        async with signed_in(site) as third:
            assert (await here.delete("/api/v1/sessions/others")).status_code == 204
            assert (await third.get("/api/v1/me")).status_code == 401
        assert len((await here.get("/api/v1/sessions")).json()["sessions"]) == 1


ASKED = [
    (["read"], "GET", "/api/v1/datasets?mine=1", 200),
    (["read"], "POST", "/api/v1/uploads", 403),
    (["read"], "GET", "/api/v1/tokens", 403),
    (["contribute"], "POST", "/api/v1/uploads", 201),
    (["contribute"], "GET", "/api/v1/me", 403),
    (["read", "contribute"], "PATCH", "/api/v1/me", 403),
    (["read", "contribute"], "DELETE", "/api/v1/sessions/others", 403),
    (["read", "contribute"], "PUT", "/api/v1/me/password", 403),
    (["account"], "GET", "/api/v1/tokens", 200),
    (["account"], "GET", "/api/v1/datasets", 403),
]


async def test_a_token_does_what_it_is_for(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    for scopes, method, path, status in ASKED:
        headers = await token(site, scopes=scopes)
        if path.endswith("uploads"):
            headers |= TUS | {"upload-length": "3"}
        answer = await site.http.request(method, path, headers=headers)
        assert answer.status_code == status, (scopes, method, path, answer.text)
        if status == 403:
            assert answer.json()["type"].endswith("scope-missing")
            assert "insufficient_scope" in answer.headers["www-authenticate"]


WRONG_TOKENS: list[tuple[dict[str, Any], str]] = [
    ({"scopes": []}, "scopes"),
    ({"scopes": ["everything"]}, "scopes"),
    ({"scopes": "read"}, "scopes"),
    ({"expires_days": 0}, "expires_days"),
    ({"expires_days": -1}, "expires_days"),
    ({"expires_days": 10**12}, "expires_days"),
    ({"expires_days": "soon"}, "expires_days"),
    ({"expires_days": True}, "expires_days"),
]


async def test_tokens_end(site: Site) -> None:
    await site.http.post("/api/v1/accounts", json=MEI)
    for fields, named in WRONG_TOKENS:
        refused = await site.http.post("/api/v1/tokens", json=MEI | {"name": "x"} | fields)
        assert (refused.status_code, refused.json()["field"]) == (422, named)
    headers = await token(site, expires_days=30)
    listed = (await site.http.get("/api/v1/tokens", headers=headers)).json()["tokens"]
    assert listed[0]["expires"] > listed[0]["created"]
    async with site.base.database.transaction() as connection:
        await connection.execute("update tokens set expires = now()")
    assert (await site.http.get("/api/v1/me", headers=headers)).status_code == 401


async def test_accounts_from_one_address_are_counted(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_site(gateway_env | {"POTLUCK_GATEWAY_SIGN_UPS_PER_HOUR": "2"}, monkeypatch) as site:
        made = [
            (await site.http.post("/api/v1/accounts", json=MEI | {"email": f"{n}@example.org"})).status_code
            for n in range(3)
        ]
        assert made == [201, 201, 429]


class Post:
    """A mail server on the loopback."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.refuses:
            self.refuses -= 1
            return "451 come back later"
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=default))
        return "250 taken"


@pytest.fixture
def post(unused_port: int) -> Iterator[Post]:
    handler = Post()
    controller = Controller(handler, hostname="127.0.0.1", port=unused_port, ready_timeout=60)
    controller.start()
    yield handler
    controller.stop()


@pytest.fixture
def mail_env(gateway_env: dict[str, str], post: Post, unused_port: int) -> dict[str, str]:
    return gateway_env | {
        "POTLUCK_GATEWAY_PUBLIC_URL": f"http://{gateway_env['POTLUCK_GATEWAY_ADDRESS']}",
        "POTLUCK_GATEWAY_SMTP_HOST": "127.0.0.1",
        "POTLUCK_GATEWAY_SMTP_PORT": str(unused_port),
        "POTLUCK_GATEWAY_SMTP_SECURITY": "none",
        "POTLUCK_GATEWAY_MAIL_FROM": "Potluck <potluck@example.org>",
    }


@pytest.fixture
async def mailing(mail_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with serving_site(mail_env, monkeypatch, with_pages=True) as site:
        yield site


def link_in(mail: EmailMessage) -> str:
    found = re.search(r"http://\S+", mail.get_content())
    assert found
    return found.group()


async def test_a_forgotten_password(mailing: Site, post: Post) -> None:
    await mailing.http.post("/api/v1/accounts", json=MEI)
    before = (await mailing.http.post("/api/v1/sessions", json=MEI)).headers["set-cookie"].partition(";")[0]
    known = await mailing.http.post("/forgotten", data={"email": "Mei@example.org"}, headers={"host": "evil.example"})
    unknown = await mailing.http.post("/forgotten", data={"email": "nobody@example.org"})
    assert known.status_code == unknown.status_code == 200
    assert known.text == unknown.text
    mail = await eventually(lambda: _async(post.mails[:1]))
    assert (mail[0]["To"], mail[0]["Subject"]) == ("mei@example.org", "Your link to a new password")
    link = link_in(mail[0])
    assert link.startswith(mailing.url)

    assert (await mailing.http.get(link)).status_code == 200  # a mail scanner that looks does not use it up
    short = await mailing.http.post(link, data={"password": "short"})
    assert short.status_code == 422
    done = await mailing.http.post(link, data={"password": NEW})
    assert (done.status_code, done.headers["location"]) == (303, "/sign-in")
    assert (await mailing.http.post(link, data={"password": PASSWORD})).status_code == 404
    assert (await mailing.http.get(link)).status_code == 404
    assert (await mailing.http.get("/api/v1/me", headers={"cookie": before})).status_code == 401
    assert (await mailing.http.post("/api/v1/sessions", json=MEI | {"password": NEW})).status_code == 201
    assert len(post.mails) == 1


async def _async(value: Any) -> Any:
    return value


async def test_links_are_asked_for_a_few_times_only(mailing: Site, post: Post) -> None:
    asked = [(await mailing.http.post("/forgotten", data={"email": "mei@example.org"})).status_code for _ in range(7)]
    assert asked == [200] * 5 + [429] * 2
    assert not post.mails


async def test_without_mail_the_operator_hands_over_a_link(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as site:
        await site.http.post("/api/v1/accounts", json=MEI)
        asked = await site.http.post("/forgotten", data={"email": "mei@example.org"})
        assert "This platform sends no mail." in asked.text

        async def command(*words: str) -> tuple[int | None, str]:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", *words, env=gateway_env, stdout=-1, stderr=-1
            )
            out, problem = await process.communicate()
            return process.returncode, (out or problem).decode()

        (found, told), (missing, why), (wrong, _) = await asyncio.gather(
            command("reset-link", "mei@example.org"),
            command("reset-link", "nobody@example.org"),
            command("reset-link", "nobody"),
        )
        assert (missing, wrong) == (1, 2)
        assert "no account" in why
        assert found == 0, told
        link = told.split()[0]
        assert (await site.http.post(link, data={"password": NEW})).status_code == 303
        assert (await site.http.post("/api/v1/sessions", json=MEI | {"password": NEW})).status_code == 201


async def test_mail_when_a_stage_ends(
    mail_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outside: Outside, post: Post
) -> None:
    post.refuses = 1
    monkeypatch.setattr("gateway.people.mail.DELAYS_SECONDS", (0.1,) * 6)
    async with serving_site(mail_env, monkeypatch) as site:
        mei, eve = await site.join("mei"), await site.join("eve")
        await mei.request("PATCH", "/api/v1/me", json={"mail_when_done": True})
        wanted = await mei.publish(b"one", name="Water")
        silent = await eve.publish(b"two")
        for entry in (silent, wanted):
            ref = DatasetRef(dataset_id=UUID(entry["id"]), version=1)
            await outside.say(validated(ref))
            fact = rejected(ref)
            await outside.say(fact)
            await outside.say(fact)
        mails = await eventually(lambda: _async(post.mails[:1]))
        await asyncio.sleep(0.5)
        assert len(post.mails) == 1
        assert mails[0]["To"] == "mei@example.org"
        assert mails[0]["Subject"] == "Water: it could not be read"
        assert f"/datasets/{wanted['id']}" in mails[0].get_content()
