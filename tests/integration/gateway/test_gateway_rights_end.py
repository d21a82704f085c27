"""A live stream ends with the right to it: whose session or token ended hears nothing more of a private dataset."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from gateway.api import live
from gateway.people.identity import reader
from gateway_bench import PASSWORD, Member, Outside, Site, StreamEvent, read_events
from gateway_examples import validated
from gateway_views import a_dataset, handled, take

EMAIL = "mei@example.org"


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    async with client.stream("GET", path, headers=headers, timeout=60) as response:
        assert response.status_code == 200
        events = read_events(response)
        assert (await take(events, 1))[0].event == "snapshot"
        yield events


async def ended(events: AsyncIterator[StreamEvent]) -> None:
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(events), 60)


async def a_token(site: Site) -> tuple[dict[str, str], str]:
    fields = {"email": EMAIL, "password": PASSWORD, "name": "a script"}
    made = (await site.http.post("/api/v1/tokens", json=fields)).json()
    return {"authorization": f"Bearer {made['token']}"}, made["id"]


async def test_a_removed_token_ends_its_streams_and_those_of_others_go_on(
    site: Site, mei: Member, outside: Outside
) -> None:
    private, public = await a_dataset(mei, private=True), await a_dataset(mei)
    path = f"/api/v1/datasets/{private.dataset_id}/events"
    theirs = f"/api/v1/datasets/{public.dataset_id}/events"
    eve = await site.join("eve")
    headers, token_id = await a_token(site)
    async with listening(site.http, path, headers) as events, listening(site.http, theirs, eve.headers) as others:
        assert (await mei.request("DELETE", f"/api/v1/tokens/{token_id}")).status_code == 204
        await ended(events)
        assert (await site.http.get(path, headers=headers)).status_code == 401
        await handled(site, outside, validated(private), validated(public))
        assert (await take(others, 1))[0].event == "update"
    # Another token of the same person is as good as before.
    async with listening(site.http, path, mei.headers) as events:
        pass


async def sign_out(site: Site, browser: httpx.AsyncClient, mei: Member) -> None:
    assert (await browser.delete("/api/v1/sessions/current")).status_code == 204


async def suspended(site: Site, browser: httpx.AsyncClient, mei: Member) -> None:
    async with site.base.database.transaction() as connection:
        await connection.execute("update people set suspended = now() where email = %s", (EMAIL,))


@pytest.mark.parametrize("end", [sign_out, suspended])
async def test_a_session_that_ends_takes_its_streams_with_it(
    site: Site, mei: Member, end: Callable[[Site, httpx.AsyncClient, Member], Awaitable[None]]
) -> None:
    private = await a_dataset(mei, private=True)
    path = f"/api/v1/datasets/{private.dataset_id}/events"
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as browser:
        fields: dict[str, Any] = {"email": EMAIL, "password": PASSWORD}
        assert (await browser.post("/api/v1/sessions", json=fields)).status_code == 201
        async with listening(browser, path, {}) as events:
            await end(site, browser, mei)
            await ended(events)
        assert (await browser.get(path)).status_code == 404


async def test_a_right_that_ends_while_the_stream_begins(
    site: Site, mei: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the token and the first event it was removed: nothing is told."""
    private = await a_dataset(mei, private=True)
    headers, token_id = await a_token(site)

    async def removed_after(request: Any) -> Any:
        person = await reader(request)
        if request.headers.get("authorization") == headers["authorization"]:
            assert (await mei.request("DELETE", f"/api/v1/tokens/{token_id}")).status_code == 204
        return person

    monkeypatch.setattr("gateway.api.live.reader", removed_after)
    refused = await site.http.get(f"/api/v1/datasets/{private.dataset_id}/events", headers=headers, timeout=30)
    assert refused.status_code == 401
    assert "event:" not in refused.text


async def test_a_persons_stream_ends_in_time_and_comes_back(
    site: Site, mei: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells that a session's time is over: who still has one comes back with Last-Event-ID."""
    private = await a_dataset(mei, private=True)
    path = f"/api/v1/datasets/{private.dataset_id}/events"
    monkeypatch.setattr(live, "PERSON_SECONDS", 0.2)
    async with listening(site.http, path, mei.headers) as events:
        await ended(events)
    async with listening(site.http, path, mei.headers):
        pass
