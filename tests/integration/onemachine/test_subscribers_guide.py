"""Every snippet of docs/subscribers.md does what the page says."""

import asyncio
import json
import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import patience
import pytest
from contracts.envelope import Attributes, structured, to_headers
from contracts.events import EVENTS, ModelAliased
from contracts.topology import EVENT_STREAM, is_public
from gateway.webhooks.rules import DELAYS_SECONDS, new_secret, signature
from nats.js import JetStreamContext
from onemachine.__main__ import main
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from onemachine.settings import OneMachineSettings
from outsiders import beside, copied, password

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "subscribers.md").read_text()
KEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def snippets(language: str) -> list[str]:
    return [code for found, code in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S) if found == language]


def test_the_page_has_just_the_snippets_that_are_tried_here() -> None:
    assert [len(snippets(language)) for language in ("python", "javascript", "")] == [2, 1, 3]
    assert PAGE.count("```") == 2 * 6


def test_the_page_names_every_public_event() -> None:
    assert set(re.findall(r"^\| `(potluck\.[a-z.-]+v1)`", PAGE, re.MULTILINE)) == {
        event.ce_type() for event in EVENTS if is_public(event.nats_subject)
    }


def test_the_page_names_settings_that_there_are() -> None:
    named = set(re.findall(r"`(EVENTS[A-Z_]*)`", PAGE))
    known = {name.upper() for name in OneMachineSettings.model_fields}
    assert named == {name for name in known if name.startswith("EVENTS")}
    assert "5 s, 1 min, 5 min,\n  30 min, 2 h, 5 h, 10 h and 14 h" in PAGE
    assert DELAYS_SECONDS == (5, 60, 300, 1800, 7200, 18000, 36000, 50400)


def test_the_operators_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `make subscribers` gives them on, before the platform has started: then they come into force with it."""
    commands = re.findall(r'^make subscribers DO="(.*)"$', PAGE, re.MULTILINE)
    assert commands == ["add alice", "list", "add alice", "add alice UA…", "revoke alice"]

    def run(words: str) -> tuple[int, str, str]:
        code = main(["subscribers", "--state", str(tmp_path), "--", *words.replace("UA…", KEY).split()])
        return code, *capsys.readouterr()

    code, said, _ = run(commands[0])
    assert code == 0
    assert re.search(r"^password    \S{43} ", said, re.MULTILINE)
    assert "alice   password" in run(commands[1])[1]
    code, _, problem = run(commands[2])
    assert (code, "already" in problem) == (2, True)
    assert run(commands[4])[:2] == (0, "alice is revoked\n")
    assert run(commands[3])[0] == 0
    assert "alice   NKey" in run(commands[1])[1]
    for wrong in ("revoke bob", "add X", "add al!ce", "add admin", "add bob SUAB", "eat", "add", f"add bob {KEY}"):
        code, _, problem = run(wrong)
        assert code == 2, wrong
        assert problem, wrong
    file = tmp_path / "outside" / "subscribers.json"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_hearing_by_nats(language: str, fresh_streams: NatsServer, tmp_path: Path) -> None:
    outside = beside(fresh_streams, tmp_path / "outside")
    async with administration(fresh_streams.url, ADMIN, password(ADMIN)) as inside:
        await say(inside, "1.0")
    code = snippets(language)[0]
    command = {
        "python": [sys.executable, "-c", code],
        "javascript": ["node", "--input-type=module", "-e", code],
    }[language]
    with outside.running():
        await outside.provision()
        alice = await asyncio.to_thread(outside.add, "alice")
        await copied(outside, 1)  # the page's JavaScript waits for 5 s, and then there is nothing
        environment = os.environ | {
            "POTLUCK_EVENTS": outside.server.listener.url,
            "POTLUCK_USER": "alice",
            "POTLUCK_PASSWORD": str(alice.password),
        }
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=-1, stderr=-2, cwd=ROOT)
        async with asyncio.timeout(patience.SECONDS):
            said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert said.decode().startswith("potluck.model.aliased.v1 {")
    assert "1.0" in said.decode()


async def say(inside: JetStreamContext, version: str) -> None:
    event = ModelAliased(alias="latest", version=version)
    attributes = Attributes(
        id=uuid4(), type=event.ce_type(), source="potluck/registry", subject=event.about(), time=datetime.now(UTC)
    )
    await inside.publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=to_headers(attributes))


def test_verifying_a_webhook() -> None:
    names: dict[str, Any] = {}
    exec(snippets("python")[1], names)
    verified, secret, event = names["verified"], new_secret(), ModelAliased(alias="latest", version="1.0")
    attributes = Attributes(
        id=uuid4(), type=event.ce_type(), source="potluck/registry", subject=event.about(), time=datetime.now(UTC)
    )
    body, now, name = structured(attributes, event.body()), int(time.time()), str(attributes.id)

    def headers(stamp: int, said: str) -> dict[str, str]:
        return {"webhook-id": name, "webhook-timestamp": str(stamp), "webhook-signature": said}

    right = signature(secret, name, now, body)
    assert verified(secret, headers(now, right), body) == json.loads(body)
    assert verified(secret, headers(now, f"v1,b3RoZXI= {right}"), body)["data"]["version"] == "1.0"
    old = now - 3600
    for wrong in (
        (new_secret(), headers(now, right), body),
        (secret, headers(now, right), body + b" "),
        (secret, headers(now - 1, right), body),
        (secret, headers(old, signature(secret, name, old, body)), body),
    ):
        with pytest.raises(ValueError, match=r"secret|old"):
            verified(*wrong)
