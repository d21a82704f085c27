"""Operators: what is stuck is handled again or dropped, rounds are steered, people suspended; all of it is written."""

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import patience
import psycopg
import pytest
from contracts.base import BlobRef
from contracts.events import DatasetWithdrawn
from gateway_bench import PASSWORD, Member, Outside, Site, eventually, heard, serving_site
from gateway_examples import passed, report, validated
from gateway_views import a_dataset, until
from kit.rpc import serve
from ports import free_port
from registry_stand_in import FAILED_ROUND_ID, ROUND_ID, Asked, entry

TOKEN = "the operators' token"


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def registry(asked: Asked) -> AsyncIterator[str]:
    async with serve("127.0.0.1:0", [entry(asked, TOKEN)]) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
async def site(gateway_env: dict[str, str], registry: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    steered = {
        "POTLUCK_GATEWAY_REGISTRY_ADDRESS": registry,
        "POTLUCK_GATEWAY_REGISTRY_OPERATOR_TOKEN": TOKEN,
    }
    async with serving_site(gateway_env | steered, monkeypatch, with_pages=True) as served:
        yield served


def grant(env: dict[str, str], email: str, verb: str = "grant") -> subprocess.CompletedProcess[str]:
    """As an administrator does, on the command line."""
    command = [sys.executable, "-m", "gateway", "operator", verb, *([email] if email else [])]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=patience.SECONDS, check=False)


@pytest.fixture
async def operator(site: Site, gateway_env: dict[str, str]) -> Member:
    member = await site.join("operator")
    granted = grant(gateway_env, member.email)
    assert granted.returncode == 0, granted.stderr
    return member


async def see(member: Member, path: str = "/operator") -> str:
    answer = await member.request("GET", path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


async def do(member: Member, path: str, **form: str) -> httpx.Response:
    return await member.request("POST", f"/operator/{path}", data=form, headers={"accept": "text/html"})


async def test_an_account_becomes_an_operator_by_command_alone(
    site: Site, operator: Member, gateway_env: dict[str, str]
) -> None:
    assert "Dead letters" in await see(operator)
    assert grant(gateway_env, operator.email).returncode == 1
    assert grant(gateway_env, "nobody@example.org").returncode == 1
    assert operator.email in grant(gateway_env, "", "list").stdout
    assert grant(gateway_env, operator.email, "revoke").returncode == 0
    assert (await operator.request("GET", "/operator")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/people"),
        ("GET", "/log"),
        ("POST", "/dead-letters/1/requeue"),
        ("POST", "/dead-letters/1/drop"),
        ("POST", "/growth/pause"),
        ("POST", "/growth/resume"),
        ("POST", "/growth/cancel"),
        ("POST", "/growth/bisect"),
        ("POST", "/growth/stop-inquiry"),
        ("POST", "/growth/move-alias"),
        ("POST", "/growth/roll-back-alias"),
        ("POST", "/datasets/withdraw"),
        ("POST", "/people/00000000-0000-4000-8000-000000000000/suspend"),
    ],
)
async def test_nothing_is_there_for_others(site: Site, asked: Asked, method: str, path: str) -> None:
    member = await site.join("curious")
    form = {"reason": "because", "round_id": ROUND_ID} if method == "POST" else None
    for headers in ({}, member.headers):
        answer = await site.http.request(method, f"/operator{path}", headers=headers, data=form)
        assert answer.status_code == 404
    assert asked.calls == []


async def test_an_event_that_was_given_up_is_handled_again(site: Site, outside: Outside, operator: Member) -> None:
    dataset = await a_dataset(await site.join("stuck"))
    lost = BlobRef(key="metric/lost/report.json", sha256="0" * 64, size=0)
    await outside.say(validated(dataset))
    await outside.say(passed(dataset, lost))

    async def stuck() -> bool:
        return str(dataset) in await see(operator)

    async def held_up() -> bool:
        return (await until(site, dataset, state="validated"))["held_up"] is not None

    await eventually(stuck, 20)
    # The letter is kept first, in a transaction of its own.
    await eventually(held_up, 20)
    await site.base.blobs.put_model(lost.key, report(dataset, {}))
    letter = await letter_id(site)
    assert (await do(operator, f"dead-letters/{letter}/requeue")).status_code == 303
    await until(site, dataset, state="passed")
    assert str(dataset) not in await see(operator)
    assert (await do(operator, f"dead-letters/{letter}/requeue")).status_code == 404
    assert "dead-letter.requeue" in await see(operator, "/operator/log")


async def test_an_event_that_is_given_up_again_is_open_again(site: Site, outside: Outside, operator: Member) -> None:
    dataset = await a_dataset(await site.join("again"))
    await outside.say(passed(dataset, BlobRef(key="metric/never/report.json", sha256="0" * 64, size=0)))

    async def stuck() -> bool:
        return str(dataset) in await see(operator)

    await eventually(stuck, 20)
    assert (await do(operator, f"dead-letters/{await letter_id(site)}/requeue")).status_code == 303
    assert str(dataset) not in await see(operator)
    await eventually(stuck, 20)


async def test_an_event_is_dropped_with_a_reason_only(site: Site, outside: Outside, operator: Member) -> None:
    dataset = await a_dataset(await site.join("dropped"))
    await outside.say(passed(dataset, BlobRef(key="metric/gone/report.json", sha256="0" * 64, size=0)))

    async def stuck() -> bool:
        return str(dataset) in await see(operator)

    await eventually(stuck, 20)
    letter = await letter_id(site)
    assert (await do(operator, f"dead-letters/{letter}/drop", reason="  ")).status_code == 422
    assert (await do(operator, f"dead-letters/{letter}/drop", reason="Its report is lost.")).status_code == 303
    assert str(dataset) not in await see(operator)
    assert "Its report is lost." in await see(operator, "/operator/log")


async def letter_id(site: Site) -> int:
    async with site.base.database.transaction() as connection:
        cursor = await connection.execute("select letter_id from dead_letters where state = 'open'")
        row = await cursor.fetchone()
    assert row is not None
    return int(row["letter_id"])


async def test_growth_is_paused_resumed_and_a_round_cancelled(site: Site, asked: Asked, operator: Member) -> None:
    shown = await see(operator)
    assert "Secret perovskite" in shown
    assert "node7" in shown
    assert (await do(operator, "growth/pause", reason="New machines arrive.")).status_code == 303
    assert "Resume" in await see(operator)
    assert (await do(operator, "growth/resume")).status_code == 303
    cancelled = await do(operator, "growth/cancel", round_id=ROUND_ID, reason="Wrong data.", pause="1")
    assert cancelled.status_code == 303
    pause, _resume, cancel = asked.calls
    assert pause.reason == "New machines arrive."
    assert (cancel.round_id, cancel.reason, cancel.pause) == (ROUND_ID, "Wrong data.", True)
    again = await do(operator, "growth/cancel", round_id=ROUND_ID, reason="Twice.")
    assert again.status_code == 409
    assert "No round is open" in again.text
    log = await see(operator, "/operator/log")
    for action in ("growth.pause", "growth.resume", "round.cancel", "round.cancel.refused"):
        assert action in log
    assert (await do(operator, "growth/cancel", round_id="x", reason="y")).status_code == 422
    assert (await do(operator, "growth/explode")).status_code == 404


async def test_what_made_a_round_fail_is_looked_for_and_names_point_elsewhere(
    site: Site, asked: Asked, operator: Member
) -> None:
    shown = await see(operator)
    # A round that goes on is not offered for it; there is something to stop while one is looked into.
    assert f'id="bisect-{FAILED_ROUND_ID}"' in shown
    assert f'id="bisect-{ROUND_ID}"' not in shown
    assert "Stop looking" in shown
    why = {"reason": "Two labs disagree."}
    assert (await do(operator, "growth/bisect", round_id=FAILED_ROUND_ID, **why)).status_code == 303
    assert (await do(operator, "growth/stop-inquiry", **why)).status_code == 303
    assert (await do(operator, "growth/move-alias", alias="stable", version="1.3", **why)).status_code == 303
    refused = await do(operator, "growth/roll-back-alias", alias="latest", **why)
    assert refused.status_code == 409
    assert "never pointed elsewhere" in refused.text
    bisect, stop, move, back = asked.calls
    assert (bisect.round_id, stop.reason, back.alias) == (FAILED_ROUND_ID, "Two labs disagree.", "latest")
    assert (move.alias, move.version, move.reason) == ("stable", "1.3", "Two labs disagree.")
    log = await see(operator, "/operator/log")
    for action in ("round.bisect", "inquiry.stop", "alias.move", "alias.roll-back", "alias.roll-back.refused"):
        assert action in log
    for form in (
        {"alias": "stable", "version": "1.3"},
        {"alias": "../x", "version": "1.3"} | why,
        {"version": "1"} | why,
    ):
        assert (await do(operator, "growth/move-alias", **form)).status_code == 422
    assert len(asked.calls) == 4


async def test_an_operator_withdraws_somebodys_dataset(site: Site, outside: Outside, operator: Member) -> None:
    dataset = await a_dataset(await site.join("wronged"))
    page = f"https://potluck.example/datasets/{dataset.dataset_id}?version=1"
    assert (await do(operator, "datasets/withdraw", dataset=page)).status_code == 422
    assert (await do(operator, "datasets/withdraw", dataset="silicon", reason="Asked by mail.")).status_code == 422
    assert (await do(operator, "datasets/withdraw", dataset=page, reason="Asked by mail.")).status_code == 303
    (event,) = await heard(outside, DatasetWithdrawn, 1)
    assert (event.dataset, event.reason) == (dataset, "Asked by mail.")
    assert (await site.http.get(f"/api/v1/datasets/{dataset.dataset_id}")).json()["state"] == "withdrawn"
    assert str(dataset.dataset_id) in await see(operator, "/operator/log")
    assert (await do(operator, "datasets/withdraw", dataset=page, reason="Once more.")).status_code == 404


async def test_without_a_registry_the_rest_of_the_page_is_there(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = gateway_env | {"POTLUCK_GATEWAY_REGISTRY_ADDRESS": f"127.0.0.1:{free_port()}"}
    async with serving_site(away, monkeypatch, with_pages=True) as site:
        member = await site.join("lonely")
        assert grant(gateway_env, member.email).returncode == 0
        shown = await see(member)
        assert "Rounds and workers cannot be seen or steered just now." in shown
        assert "Nothing is stuck" in shown
        assert (await do(member, "growth/pause", reason="why not")).status_code == 503


async def test_a_suspended_person_is_out_until_reinstated(site: Site, operator: Member) -> None:
    other = await site.join("other")
    person: dict[str, Any] = (await other.request("GET", "/api/v1/me")).json()
    assert other.email in await see(operator, "/operator/people?q=other")
    assert (await do(operator, f"people/{person['id']}/suspend", reason="Spam.")).status_code == 303
    assert (await other.request("GET", "/api/v1/me")).status_code == 401
    signed = await site.http.post("/api/v1/sessions", json={"email": other.email, "password": PASSWORD})
    assert (signed.status_code, signed.json()["type"]) == (403, "urn:potluck:problem:suspended")
    assert (await do(operator, f"people/{person['id']}/suspend", reason="Again.")).status_code == 404
    assert (await do(operator, f"people/{person['id']}/reinstate", reason="A mistake.")).status_code == 303
    assert (await other.request("GET", "/api/v1/me")).status_code == 200
    own = (await operator.request("GET", "/api/v1/me")).json()["id"]
    assert (await do(operator, f"people/{own}/suspend", reason="Myself.")).status_code == 409


async def test_the_audit_log_is_only_added_to(site: Site, operator: Member) -> None:
    async with site.base.database.transaction() as connection:
        for statement in ("update audit_log set person = 'nobody'", "delete from audit_log", "truncate audit_log"):
            with pytest.raises(psycopg.errors.RaiseException):
                async with connection.transaction():
                    await connection.execute(statement.encode())
