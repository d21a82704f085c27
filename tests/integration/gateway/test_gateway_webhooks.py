"""Public events reach webhooks: signed, in the end, again if asked, and never somebody else's."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from contracts.events import ModelAliased, ModelRetired
from gateway.store import Store
from gateway.webhooks.rules import signature
from gateway.webhooks.sender import Post, Sender
from gateway_bench import PASSWORD, Member, Outside, Site, eventually, serving_site
from gateway_examples import published
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ALIASED, PUBLISHED = "potluck.model.aliased.v1", "potluck.model.published.v1"
DATASET = "potluck.dataset.published.v1"


@dataclass
class Receiver:
    """A server of somebody's: keeps what came, and answers as a test says."""

    url: str = ""
    status: int = 204
    wait: float = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.body()))
        await asyncio.sleep(self.wait)
        return Response(status_code=self.status)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(**options)
    app = Starlette(routes=[Route("/in", receiver.take, methods=["POST"])])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        # Values of ours are case-sensitive.
        headers |= {k.lower(): v for k, v in (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver") as client:
            answer = await client.post("/in", content=body, headers=headers)
        writer.write(f"HTTP/1.1 {answer.status_code} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
def webhook_env(gateway_env: dict[str, str]) -> dict[str, str]:
    return gateway_env | {"POTLUCK_GATEWAY_WEBHOOKS_ANYWHERE": "true", "POTLUCK_GATEWAY_WEBHOOK_SECONDS": "3"}


@pytest.fixture
async def site(webhook_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with serving_site(webhook_env, monkeypatch, with_pages=True) as served:
        yield served


async def hook(member: Member, url: str, *types: str) -> dict[str, Any]:
    made = await member.request("POST", "/api/v1/webhooks", json={"url": url, "types": types or [ALIASED]})
    assert made.status_code == 201, made.text
    return dict(made.json())


async def deliveries(member: Member, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    found = await member.request("GET", f"/api/v1/webhooks/{webhook['id']}/deliveries")
    assert found.status_code == 200, found.text
    return list(found.json()["deliveries"])


def aliased(version: str = "1.1") -> ModelAliased:
    return ModelAliased(alias="latest", version=version)


async def test_a_public_event_arrives_signed_and_nothing_else_does(site: Site, outside: Outside) -> None:
    mei = await site.join("mei")
    async with listening() as receiver:
        made = await hook(mei, receiver.url, ALIASED, DATASET)
        await outside.say(ModelRetired(version="0.9", reason="old"))  # not asked for
        secret = await mei.publish(b"one", private=True, name="Hushhush")
        public = await mei.publish(b"two", name="碳化硅")
        identifier = await outside.say(aliased())
        await eventually(lambda: _delivered(mei, made, 2))
    assert len(receiver.requests) == 2
    assert set(receiver.ids) >= {str(identifier)}
    events: dict[str, Any] = {}
    for headers, body in receiver.requests:
        stamp = int(headers["webhook-timestamp"])
        assert abs(stamp - time.time()) < 60
        assert headers["webhook-signature"] == signature(made["secret"], headers["webhook-id"], stamp, body)
        event = from_structured_event(HTTPMessage({"content-type": headers["content-type"]}, body))
        assert event.get_id() == headers["webhook-id"]
        events[event.get_type()] = event.get_data()
        assert secret["id"] not in body.decode()
    assert events[ALIASED] == {"alias": "latest", "version": "1.1", "previous": None, "reason": ""}
    assert events[DATASET]["dataset"] == {"dataset_id": public["id"], "version": 1}
    assert events[DATASET]["title"] == "碳化硅"
    told = await deliveries(mei, made)
    assert [(one["state"], one["status"], one["attempts"]) for one in told] == [("delivered", 204, 1)] * 2


async def test_what_is_made_public_later_is_told_then(site: Site) -> None:
    mei = await site.join("mei")
    async with listening() as receiver:
        await hook(mei, receiver.url, DATASET)
        entry = await mei.publish(b"one", private=True)
        fields = {"licence": "CC-BY-4.0", "authors": ["Mei"], "agreement": True}
        made = await mei.request("POST", f"/api/v1/datasets/{entry['id']}/public", json=fields)
        assert made.status_code < 300, made.text
        await eventually(lambda: _async(receiver.requests))
    data = json.loads(receiver.requests[0][1])["data"]
    assert (data["was_private"], data["dataset"]["dataset_id"]) == (True, entry["id"])


async def test_it_is_tried_again_until_it_is_taken_with_the_same_id(
    site: Site, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.webhooks.rules.DELAYS_SECONDS", (0.2, 3600, 3600))
    mei = await site.join("mei")
    async with listening(status=503) as receiver:
        made = await hook(mei, receiver.url)
        await outside.say(aliased())
        await eventually(lambda: _tried(mei, made, 2))
        (waiting,) = await deliveries(mei, made)
        assert (waiting["state"], waiting["status"]) == ("waiting", 503)
        assert (await mei.request("GET", "/api/v1/webhooks")).json()["webhooks"][0]["failing_since"]
        receiver.status = 200
        async with site.base.database.transaction() as connection:  # an hour passes
            await connection.execute("update webhook_deliveries set due = now()")
        await eventually(lambda: _delivered(mei, made))
        assert len(set(receiver.ids)) == 1
        assert len(receiver.requests) == 3
        assert (await mei.request("GET", "/api/v1/webhooks")).json()["webhooks"][0]["failing_since"] is None
        # Once more, because its owner asks.
        (done,) = await deliveries(mei, made)
        asked = await mei.request("POST", f"/api/v1/webhooks/{made['id']}/deliveries/{done['id']}/replay")
        assert asked.status_code == 202
        await eventually(lambda: _async(len(receiver.requests) == 4))
        assert len(set(receiver.ids)) == 1


async def _delivered(member: Member, webhook: dict[str, Any], count: int = 1) -> bool:
    return [one["state"] for one in await deliveries(member, webhook)] == ["delivered"] * count


async def _async(value: Any) -> Any:
    return value


async def test_after_the_last_try_it_is_given_up(site: Site, outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.webhooks.rules.DELAYS_SECONDS", (0.1,))
    mei = await site.join("mei")
    made = await hook(mei, "http://127.0.0.1:1/in")
    await outside.say(aliased())

    async def given_up() -> bool:
        return [one["state"] for one in await deliveries(mei, made)] == ["failed"]

    await eventually(given_up)
    (told,) = await deliveries(mei, made)
    assert (told["attempts"], told["status"], told["due"]) == (2, None, None)
    assert "Connect" in told["problem"]


async def test_a_slow_receiver_holds_up_nobody(
    webhook_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outside: Outside
) -> None:
    """The brisk one has everything while the slow ones have not even answered the first time."""
    patient = webhook_env | {"POTLUCK_GATEWAY_WEBHOOK_SECONDS": "600"}
    async with listening(wait=600) as slow, listening() as brisk, serving_site(patient, monkeypatch) as site:
        mei, eve = await site.join("mei"), await site.join("eve")
        for _ in range(3):
            await hook(mei, slow.url)
        await hook(eve, brisk.url)
        for number in range(20):
            await outside.say(aliased(f"1.{number}"))
        await eventually(lambda: _async(len(brisk.requests) == 20))
        # Of each slow one a single delivery is under way.
        assert len(slow.requests) <= 3
    assert len(set(brisk.ids)) == 20


async def test_one_that_fails_for_a_day_is_disabled_with_a_notice_and_can_be_switched_on(
    webhook_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outside: Outside
) -> None:
    mail = {
        "POTLUCK_GATEWAY_SMTP_HOST": "127.0.0.1",
        "POTLUCK_GATEWAY_SMTP_PORT": "1",
        "POTLUCK_GATEWAY_SMTP_SECURITY": "none",
        "POTLUCK_GATEWAY_MAIL_FROM": "Potluck <potluck@example.org>",
        "POTLUCK_GATEWAY_PUBLIC_URL": "http://potluck.example",
    }
    async with serving_site(webhook_env | mail, monkeypatch) as site:
        mei = await site.join("mei")
        async with listening(status=500) as receiver, listening() as healthy:
            made, well = await hook(mei, receiver.url), await hook(mei, healthy.url)
            await outside.say(aliased())
            await eventually(lambda: _async(receiver.requests and healthy.requests))
            await eventually(lambda: _tried(mei, made))
            settings, database = site.base.settings, site.base.database
            sender = Sender(database, Store(), settings, Post(1, anywhere=True))
            await sender.tidy()
            assert not await _disabled(mei, made)
            async with database.transaction() as connection:  # it began more than a day ago
                await connection.execute("update webhooks set failing_since = failing_since - interval '25 hours'")
            await sender.tidy()
            assert await _disabled(mei, made)
            assert not await _disabled(mei, well)
            async with database.transaction() as connection:
                cursor = await connection.execute("select recipient, subject, body from mails")
                (letter,) = await cursor.fetchall()
            assert letter["recipient"] == "mei@example.org"
            assert receiver.url in letter["body"]
            assert "http://potluck.example/account/webhooks" in letter["body"]
            seen = len(receiver.requests)
            await outside.say(aliased("1.2"))
            await eventually(lambda: _async(len(healthy.requests) == 2))
            assert len(receiver.requests) == seen
            receiver.status = 200
            on = await mei.request("POST", f"/api/v1/webhooks/{made['id']}/enable")
            assert (on.status_code, on.json()["disabled"]) == (200, None)
            await eventually(lambda: _delivered(mei, made))  # what waited


async def _tried(member: Member, webhook: dict[str, Any], times: int = 1) -> bool:
    found = await deliveries(member, webhook)
    return bool(found and found[0]["attempts"] >= times)


async def _disabled(member: Member, webhook: dict[str, Any]) -> bool:
    told = (await member.request("GET", "/api/v1/webhooks")).json()["webhooks"]
    return bool(next(one for one in told if one["id"] == webhook["id"])["disabled"])


async def test_who_says_gone_is_disabled_at_once(site: Site, outside: Outside) -> None:
    mei = await site.join("mei")
    async with listening(status=410) as receiver:
        made = await hook(mei, receiver.url)
        await outside.say(aliased())
        await eventually(lambda: _disabled(mei, made))
    told = (await mei.request("GET", "/api/v1/webhooks")).json()["webhooks"][0]
    assert told["disabled_reason"] == "gone"


async def test_a_restart_loses_nothing(
    webhook_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outside: Outside
) -> None:
    async with listening() as receiver:
        async with serving_site(webhook_env, monkeypatch) as site:
            mei = await site.join("mei")
            receiver.wait = 60
            await hook(mei, receiver.url)
            await outside.say(aliased())
            await eventually(lambda: _async(receiver.requests))
            # As if the process had died in the middle: the claim is still there.
        receiver.wait = 0
        async with serving_site(webhook_env, monkeypatch) as site:
            async with site.base.database.transaction() as connection:
                await connection.execute("update webhook_deliveries set claimed_until = now()")
            await eventually(lambda: _async(len(receiver.requests) >= 2))
    assert len(set(receiver.ids)) == 1


async def test_a_repeated_request_makes_no_second_one(site: Site) -> None:
    mei = await site.join("mei")
    wanted = {"json": {"url": "https://receiver.example.org/", "types": [ALIASED]}, "headers": {"Idempotency-Key": "k"}}
    made = await mei.request("POST", "/api/v1/webhooks", **wanted)
    again = await mei.request("POST", "/api/v1/webhooks", **wanted)
    assert (made.status_code, again.status_code) == (201, 409)
    assert again.headers["location"] == f"/api/v1/webhooks/{made.json()['id']}"
    assert made.json()["secret"] not in again.text
    assert len((await mei.request("GET", "/api/v1/webhooks")).json()["webhooks"]) == 1


async def test_a_webhook_is_its_owners(site: Site, outside: Outside) -> None:
    mei, eve = await site.join("mei"), await site.join("eve")
    made = await hook(mei, "http://127.0.0.1:1/in")
    await outside.say(aliased())
    await eventually(lambda: _tried(mei, made))
    (delivery,) = await deliveries(mei, made)
    one = f"/api/v1/webhooks/{made['id']}"
    asked = [
        ("DELETE", one),
        ("POST", f"{one}/enable"),
        ("GET", f"{one}/deliveries"),
        ("POST", f"{one}/deliveries/{delivery['id']}/replay"),
    ]
    for method, path in asked:
        assert (await eve.request(method, path)).status_code == 404, path
        assert (await site.http.request(method, path)).status_code == 401, path
    assert (await eve.request("GET", "/api/v1/webhooks")).json() == {"webhooks": []}
    assert made["secret"] not in (await mei.request("GET", "/api/v1/webhooks")).text
    assert (await mei.request("POST", f"{one}/deliveries/{delivery['id'] + 99}/replay")).status_code == 404
    assert (await mei.request("DELETE", one)).status_code == 204
    assert (await mei.request("GET", f"{one}/deliveries")).status_code == 404


async def test_wrong_wishes_are_refused_with_words(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_site(gateway_env, monkeypatch) as site:
        mei = await site.join("mei")
        for url in ("http://example.org/", "https://127.0.0.1/", "nonsense"):
            refused = await mei.request("POST", "/api/v1/webhooks", json={"url": url, "types": [ALIASED]})
            assert (refused.status_code, refused.json()["field"]) == (422, "url"), url
        both = await mei.request("POST", "/api/v1/webhooks", json={})
        assert [one["field"] for one in both.json()["errors"]] == ["url", "types"]
        bad = await mei.request("GET", f"/api/v1/webhooks/{uuid4()}/deliveries?before=x")
        assert bad.status_code == 422
        fields = {"url": "https://example.org/in", "types": [ALIASED]}
        made = [(await mei.request("POST", "/api/v1/webhooks", json=fields)).status_code for _ in range(11)]
        assert made == [201] * 10 + [409]


async def test_a_host_that_leads_inside_is_not_sent_to(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, outside: Outside
) -> None:
    """localhost is a name like any other: what counts is where it leads."""
    async with listening() as receiver, serving_site(gateway_env, monkeypatch) as site:
        mei = await site.join("mei")
        made = await hook(mei, receiver.url.replace("http://127.0.0.1", "https://localhost"))
        await outside.say(aliased())
        await eventually(lambda: _tried(mei, made))
        (told,) = await deliveries(mei, made)
        assert "public internet" in told["problem"]
        assert receiver.requests == []


async def test_the_page_makes_shows_replays_and_removes(site: Site, outside: Outside) -> None:
    account = {"email": "mei@example.org", "name": "Mei", "password": PASSWORD}
    await site.http.post("/api/v1/accounts", json=account)
    await site.http.post("/api/v1/sessions", json=account)
    async with listening() as receiver:
        wrong = await site.http.post("/account/webhooks", data={"url": "nonsense"})
        assert wrong.status_code == 422
        assert "This is not an address." in wrong.text
        assert "Choose at least one kind of event." in wrong.text
        made = await site.http.post("/account/webhooks", data={"url": receiver.url, "types": [ALIASED, PUBLISHED]})
        assert made.status_code == 200
        assert "whsec_" in made.text
        page = await site.http.get("/account/webhooks", headers={"accept-language": "zh"})
        assert receiver.url in page.text
        assert "whsec_" not in page.text
        assert "发布了新的模型版本" in page.text
        (told,) = (await site.http.get("/api/v1/webhooks")).json()["webhooks"]
        await outside.say(published(uuid4(), None))
        await eventually(lambda: _async(receiver.requests))
        here = f"/account/webhooks/{told['id']}"

        async def shown() -> bool:
            return "delivered" in (await site.http.get(here)).text

        await eventually(shown)
        (delivery,) = (await site.http.get(f"/api/v1/webhooks/{told['id']}/deliveries")).json()["deliveries"]
        assert UUID(delivery["event_id"])
        again = await site.http.post(f"{here}/deliveries/{delivery['id']}/replay")
        assert (again.status_code, again.headers["location"]) == (303, here)
        await eventually(lambda: _async(len(receiver.requests) == 2))
        assert (await site.http.post(f"{here}/remove")).status_code == 303
        assert receiver.url not in (await site.http.get("/account/webhooks")).text
        assert (await site.http.get(here)).status_code == 404
        assert (await site.http.get("/account/webhooks/nonsense")).status_code == 404
