"""Creating requests sent again with their Idempotency-Key: done once, answered alike; secrets are kept nowhere."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
from gateway_bench import PASSWORD, PIECE, TUS, Member, Site

UPLOADS, TOKENS, ACCOUNTS = "/api/v1/uploads", "/api/v1/tokens", "/api/v1/accounts"


async def begin(mei: Member, key: str, size: int = 4) -> httpx.Response:
    headers = {**TUS, "Upload-Length": str(size), "Idempotency-Key": key}
    return await mei.request("POST", UPLOADS, headers=headers)


async def new_token(site: Site, key: str | None, **fields: Any) -> httpx.Response:
    body = {"email": "mei@example.org", "password": PASSWORD, "name": "laptop"} | fields
    return await site.http.post(TOKENS, json=body, headers={"Idempotency-Key": key} if key else {})


async def test_an_upload_is_begun_once(site: Site) -> None:
    mei = await site.join("mei")
    first, again, other = await begin(mei, "one"), await begin(mei, "one"), await begin(mei, "two")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["location"] == first.headers["location"] != other.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["tus-resumable"] == "1.0.0"
    listed = await mei.request("GET", UPLOADS)
    assert len(listed.json()["uploads"]) == 2
    sent = await mei.request(
        "PATCH", again.headers["location"], headers={**PIECE, "Upload-Offset": "0"}, content=b"data"
    )
    assert sent.status_code == 204


async def test_another_request_under_the_same_key_is_refused(site: Site) -> None:
    mei = await site.join("mei")
    await begin(mei, "one")
    other = await begin(mei, "one", size=5)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    assert (await begin(mei, "x" * 201)).status_code == 422


async def test_a_key_is_of_one_person(site: Site) -> None:
    mei, eve = await site.join("mei"), await site.join("eve")
    first, other = await begin(mei, "one"), await begin(eve, "one")
    assert other.status_code == 201
    assert other.headers["location"] != first.headers["location"]


async def test_a_refusal_is_not_kept(site: Site) -> None:
    mei = await site.join("mei")
    assert (await begin(mei, "one", size=0)).status_code == 422
    assert (await begin(mei, "one", size=4)).status_code == 201


async def test_of_twins_at_the_same_time_one_is_done(site: Site) -> None:
    mei = await site.join("mei")
    answers = await asyncio.gather(*(begin(mei, "one") for _ in range(8)))
    places = {one.headers["location"] for one in answers if one.status_code == 201}
    assert len(places) == 1
    for one in answers:
        if one.status_code != 201:
            assert (one.status_code, one.json()["type"]) == (409, "urn:potluck:problem:request-under-way")
            assert one.headers["retry-after"] == "1"
    assert len((await mei.request("GET", UPLOADS)).json()["uploads"]) == 1


async def test_a_twin_of_a_request_under_way_is_told_to_wait_and_an_abandoned_one_is_done_anew(site: Site) -> None:
    mei = await site.join("mei")
    first = await begin(mei, "one")
    async with site.base.database.transaction() as connection:
        await connection.execute("update idempotency_keys set status = null")
    assert (await begin(mei, "one")).status_code == 409
    async with site.base.database.transaction() as connection:
        await connection.execute("update idempotency_keys set begun = begun - interval '5 minutes'")
    again = await begin(mei, "one")
    assert again.status_code == 201
    assert again.headers["location"] != first.headers["location"]


async def test_after_a_day_a_key_is_free(site: Site) -> None:
    mei = await site.join("mei")
    first = await begin(mei, "one")
    async with site.base.database.transaction() as connection:
        await connection.execute("update idempotency_keys set begun = begun - interval '25 hours'")
    assert (await begin(mei, "one", size=9)).headers["location"] != first.headers["location"]


async def test_a_token_is_made_once_and_its_secret_is_kept_nowhere(site: Site) -> None:
    await site.join("mei")
    made = await new_token(site, "one")
    assert made.status_code == 201
    again = await new_token(site, "one")
    assert (again.status_code, again.json()["type"]) == (409, "urn:potluck:problem:shown-once")
    assert again.headers["location"] == f"{TOKENS}/{made.json()['id']}"
    wrong = await new_token(site, "one", password="not the password")
    assert wrong.status_code == 401
    other = await new_token(site, "one", name="another")
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    secret = made.json()["token"]
    listed = await site.http.get(TOKENS, headers={"Authorization": f"Bearer {secret}"})
    assert [one["name"] for one in listed.json()["tokens"]] == ["test", "laptop"]
    async with site.base.database.transaction() as connection:
        found = await connection.execute("select idempotency_keys::text as row from idempotency_keys")
        kept = str([dict(one) for one in await found.fetchall()])
    assert secret not in kept
    assert secret.encode().hex() not in kept
    assert PASSWORD not in kept


async def test_an_account_is_made_once_and_only_who_knows_the_password_hears_of_it_again(site: Site) -> None:
    def sign_up(key: str | None, **fields: str) -> Any:
        body = {"email": "kai@example.org", "name": "Kai", "password": PASSWORD} | fields
        return site.http.post(ACCOUNTS, json=body, headers={"Idempotency-Key": key} if key else {})

    made, again = await sign_up("one"), await sign_up("one")
    assert (made.status_code, again.status_code) == (201, 201)
    assert again.json() == made.json()
    for refused in (
        await sign_up(None),
        await sign_up("other"),
        await sign_up("one", password="another password"),
        await sign_up("one", name="Somebody else"),
    ):
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:potluck:problem:account-exists")


async def test_publishing_and_uploading_with_keys_go_together(site: Site) -> None:
    """The keys of datasets are kept with them, for good: they and these do not meet."""
    mei = await site.join("mei")
    await begin(mei, "same")
    upload_id = await mei.upload(b"archive")
    fields = {
        "upload_id": str(upload_id), "name": "Si", "authors": ["Mei"], "format": "detect", "licence": "CC-BY-4.0",
        "agreement": True,
    }  # fmt: skip
    headers = {"Idempotency-Key": "same"}
    first = await mei.request("POST", "/api/v1/datasets", json=fields, headers=headers)
    again = await mei.request("POST", "/api/v1/datasets", json=fields, headers=headers)
    assert (first.status_code, again.json()["id"]) == (201, first.json()["id"])


async def test_a_stranger_needs_no_key_and_gets_none(site: Site) -> None:
    refused = await site.http.post(UPLOADS, headers={**TUS, "Upload-Length": "4", "Idempotency-Key": str(uuid4())})
    assert refused.status_code == 401
