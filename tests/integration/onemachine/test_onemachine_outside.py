"""Outsiders hear what is public, from the beginning if they like, and can do nothing else."""

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import nats
import patience
import pytest
from certificates import Authority
from contracts.topology import EVENT_STREAM, EVENT_SUBJECTS, PUBLIC_SUBJECTS
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from onemachine.errors import CannotStart
from onemachine.nats import ADMIN, DOMAIN, FEED_PREFIX, NatsServer
from onemachine.outside import STREAM, Listener
from onemachine.provision import administration
from onemachine.subscribers import asked
from outsiders import Outside, beside, connected, fetched, own_consumer, password, so_many
from ports import free_port

CUT_SECONDS = 5.0
ROOT = Path(__file__).resolve().parents[3]
WEBSOCKET = """
import { wsconnect } from "@nats-io/nats-core";
import { jetstream } from "@nats-io/jetstream";
const [servers, pass] = process.argv.slice(1);
const connection = await wsconnect({ servers, user: "alice", pass, inboxPrefix: "_INBOX_alice", reconnect: false });
const consumer = await jetstream(connection, { domain: "potluck" }).consumers.get("PUBLISHED", "alice");
await connection.request("$JS.potluck.API.CONSUMER.RESET.PUBLISHED.alice", `{"seq": 1}`);
const message = await consumer.next();
console.log(message.string());
message.ack();
await connection.drain();
"""


@pytest.fixture
async def inside(fresh_streams: NatsServer) -> AsyncIterator[JetStreamContext]:
    async with administration(fresh_streams.url, ADMIN, password(ADMIN)) as jetstream:
        yield jetstream


@pytest.fixture
async def outside(fresh_streams: NatsServer, tmp_path: Path) -> AsyncIterator[Outside]:
    made = beside(fresh_streams, tmp_path / "outside")
    with made.running():
        await made.provision()
        yield made


async def say(inside: JetStreamContext, subject: str, *bodies: bytes) -> None:
    for body in bodies:
        await inside.publish(subject, body, stream=EVENT_STREAM)


async def add(outside: Outside, name: str, nkey: str | None = None) -> object:
    return await asyncio.to_thread(outside.add, name, nkey)


async def test_public_events_are_replayed_from_the_beginning_and_go_on(
    inside: JetStreamContext, outside: Outside
) -> None:
    await say(inside, "potluck.model.published", b"1.0", b"1.1")
    await say(inside, "potluck.dataset.uploaded", b"secret")
    await say(inside, "potluck.dataset.published", b"silicon")
    alice = await asyncio.to_thread(outside.add, "alice")
    async with connected(outside.server.listener.url, alice) as (client, _):
        subscription = await own_consumer(client, "alice")
        before = await fetched(subscription, 3)
        assert sorted(message.data for message in before) == [b"1.0", b"1.1", b"silicon"]
        live = await client.subscribe("potluck.model.>")
        said = await _said_until_heard(inside, live, "potluck.model.aliased", b"latest")
        after = await fetched(subscription, said)
        assert {(one.subject, one.data) for one in after} == {("potluck.model.aliased", b"latest")}
        # Once more from the beginning, by the subscriber itself.
        await client.request(f"$JS.potluck.API.CONSUMER.RESET.{STREAM}.alice", b'{"seq": 1}', timeout=30)
        assert len(await fetched(subscription, 3 + said)) == 3 + said
        with pytest.raises(TimeoutError):  # of nats-py or of asyncio: fetch raises either
            await subscription.fetch(1, timeout=0.5)


async def _said_until_heard(inside: JetStreamContext, live: Subscription, subject: str, body: bytes) -> int:
    """How often it was said. The hub hears of a plain subscription a moment after the subscriber's server does."""
    for times in range(1, 31):
        await say(inside, subject, body)
        with suppress(nats.errors.TimeoutError):
            assert (await live.next_msg(timeout=1)).data == body
            return times
    pytest.fail(f"{subject} was said 30 times and not heard once")


async def test_a_subscriber_may_nothing_else(inside: JetStreamContext, outside: Outside) -> None:
    alice, _ = await asyncio.to_thread(outside.add, "alice"), await asyncio.to_thread(outside.add, "bob")
    await say(inside, "potluck.model.published", b"1.0")
    attempts = (
        "potluck.model.published",
        "potluck.anything",
        f"$JS.API.STREAM.DELETE.{STREAM}",
        f"$JS.API.STREAM.PURGE.{STREAM}",
        "$JS.API.STREAM.CREATE.MINE",
        f"$JS.API.CONSUMER.CREATE.{STREAM}.alice",
        f"$JS.potluck.API.CONSUMER.CREATE.{STREAM}.alice",
        f"$JS.API.CONSUMER.DELETE.{STREAM}.bob",
        f"$JS.potluck.API.CONSUMER.INFO.{STREAM}.bob",
        f"$JS.potluck.API.CONSUMER.MSG.NEXT.{STREAM}.bob",
        f"$JS.potluck.API.CONSUMER.RESET.{STREAM}.bob",
        f"$JS.ACK.{STREAM}.bob.1.1.1.1.1",
        f"$JS.{DOMAIN}.API.STREAM.INFO.{EVENT_STREAM}",
        f"{FEED_PREFIX}.x",
        "$SYS.REQ.SERVER.PING",
    )
    async with connected(outside.server.listener.url, alice) as (client, complaints):

        async def asked_in_vain(subject: str) -> None:
            with suppress(nats.errors.TimeoutError, nats.errors.NoRespondersError):
                answer = await client.request(subject, b"", timeout=0.5)
                pytest.fail(f"{subject} was answered: {answer.data!r}")

        await asyncio.gather(*map(asked_in_vain, attempts))
        await so_many(complaints, len(attempts))
        assert all("permissions violation for publish" in one for one in complaints)
        complaints.clear()
        for subject in (">", "potluck.>", "potluck.dataset.uploaded", "_INBOX_bob.>", "$SYS.>", f"{FEED_PREFIX}.>"):
            await client.subscribe(subject)
        await so_many(complaints, 6)
        assert all("permissions violation for subscription" in one for one in complaints)


async def test_an_answer_sent_to_an_address_of_the_server_does_nothing(
    inside: JetStreamContext, outside: Outside
) -> None:
    """The server answers where the request says: not even so does a subscriber reach what it may not."""
    alice, bob = await asyncio.to_thread(outside.add, "alice"), await asyncio.to_thread(outside.add, "bob")
    await say(inside, "potluck.model.published", b"1.0")
    url = outside.server.listener.url
    async with connected(url, bob) as (client, _):
        await fetched(await own_consumer(client, "bob"), 1)
    async with connected(url, alice) as (client, _):
        fetch = f"$JS.potluck.API.CONSUMER.MSG.NEXT.{STREAM}.alice"
        for target in (
            f"$JS.API.STREAM.DELETE.{STREAM}",
            f"$JS.API.CONSUMER.DELETE.{STREAM}.bob",
            f"$JS.API.CONSUMER.RESET.{STREAM}.bob",
            f"$JS.potluck.API.CONSUMER.RESET.{STREAM}.bob",
        ):
            for _ in range(2):  # with a message, and with an empty answer that there is none
                await client.publish(fetch, b'{"batch": 1, "no_wait": true}', reply=target)
        await client.flush()
        await asyncio.sleep(0.3)
    async with outside.access.connected(ADMIN) as admin:
        assert (await asked(admin, f"$JS.API.STREAM.INFO.{STREAM}"))["state"]["messages"] == 1
        assert (await asked(admin, f"$JS.API.CONSUMER.INFO.{STREAM}.bob"))["ack_floor"]["stream_seq"] == 1


async def test_the_servers_own_user_on_the_hub_copies_public_subjects_alone(
    fresh_streams: NatsServer, inside: JetStreamContext, outside: Outside
) -> None:
    """Even if the server for outsiders were taken over."""
    await say(inside, "potluck.dataset.uploaded", b"secret")
    external = {"api": f"$JS.{DOMAIN}.API", "deliver": FEED_PREFIX}
    async with outside.access.connected(ADMIN) as admin:
        everything = {"name": STREAM, "sources": [{"name": EVENT_STREAM, "external": external}]}
        with pytest.raises(CannotStart):  # one stream is all that FEED may have
            await asked(admin, "$JS.API.STREAM.CREATE.MORE", json.dumps(everything | {"name": "MORE"}).encode())
        await asked(admin, f"$JS.API.STREAM.DELETE.{STREAM}")
        await asked(admin, f"$JS.API.STREAM.CREATE.{STREAM}", json.dumps(everything).encode())
        for subject in (f"$JS.{DOMAIN}.API.STREAM.MSG.GET.{EVENT_STREAM}", f"$JS.{DOMAIN}.API.STREAM.NAMES"):
            with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
                await admin.request(subject, b'{"seq": 1}', timeout=0.5)
        heard = await admin.subscribe(EVENT_SUBJECTS[0])
        await admin.flush()
        await say(inside, "potluck.dataset.uploaded", b"secret again")
        await asyncio.sleep(1.5)
        assert (await asked(admin, f"$JS.API.STREAM.INFO.{STREAM}"))["state"]["messages"] == 0
        assert heard.pending_msgs == 0
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):  # it is no user for clients
        await _refused(fresh_streams.url, "outside", password("outside"))


async def _ignore(_error: Exception) -> None:
    return None


async def test_a_revoked_credential_is_cut_at_once_and_the_others_are_not(
    inside: JetStreamContext, outside: Outside
) -> None:
    alice, bob = await asyncio.to_thread(outside.add, "alice"), await asyncio.to_thread(outside.add, "bob")
    url = outside.server.listener.url
    gone = asyncio.Event()

    async def lost() -> None:
        gone.set()

    async with AsyncExitStack() as stack:
        first, _ = await stack.enter_async_context(
            connected(url, alice, disconnected_cb=lost, max_reconnect_attempts=1, reconnect_time_wait=0.1)
        )
        second, _ = await stack.enter_async_context(connected(url, bob))
        heard = await first.subscribe("potluck.model.>")
        await first.flush()
        await asyncio.to_thread(outside.revoke, "alice")
        begun = time.monotonic()  # in force, it says
        async with asyncio.timeout(CUT_SECONDS):
            await gone.wait()
        assert time.monotonic() - begun < CUT_SECONDS
        await say(inside, "potluck.model.published", b"1.0")
        assert [one.data for one in await fetched(await own_consumer(second, "bob"), 1)] == [b"1.0"]
        assert heard.pending_msgs == 0
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await _refused(url, "alice", alice.password)
    async with outside.access.connected(ADMIN) as admin:
        assert (await asked(admin, f"$JS.API.CONSUMER.NAMES.{STREAM}"))["consumers"] == ["bob"]
    # Issued anew it is another credential, with a consumer of its own that begins at the beginning.
    again = await asyncio.to_thread(outside.add, "alice")
    assert again.password != alice.password
    async with connected(url, again) as (client, _):
        assert len(await fetched(await own_consumer(client, "alice"), 1)) == 1


async def test_who_never_acknowledges_or_reads_does_not_hold_up_the_others(
    inside: JetStreamContext, outside: Outside
) -> None:
    people = {name: await asyncio.to_thread(outside.add, name) for name in ("never-acks", "never-reads", "brisk")}
    url = outside.server.listener.url
    count, body = 400, b"x" * 50_000
    async with AsyncExitStack() as stack:
        clients = {}
        for name, who in people.items():
            clients[name], _ = await stack.enter_async_context(connected(url, who))
        stuck = await own_consumer(clients["never-acks"], "never-acks")
        deaf = await _who_reads_nothing(url, "never-reads", str(people["never-reads"].password))
        stack.callback(deaf.close)
        brisk = await own_consumer(clients["brisk"], "brisk")
        for _ in range(count):
            await say(inside, "potluck.model.rescored", body)
        held = _numbers(await stuck.fetch(256, timeout=60))
        assert len(await fetched(brisk, count)) == count
        while True:  # what it has not acknowledged is the most it gets; after 10 s the same comes again
            with suppress(TimeoutError):  # of nats-py or of asyncio: fetch raises either
                known, held = held, held | _numbers(await stuck.fetch(256, timeout=0.5))
                if held != known:
                    continue
            break
        assert 0 < len(held) <= 256
        # The hub keeps nothing back either.
        await say(inside, "potluck.model.published", b"at once")
        assert [one.data for one in await fetched(brisk, 1)] == [b"at once"]


def _numbers(messages: list[Msg]) -> set[int]:
    """In the stream."""
    return {message.metadata.sequence.stream for message in messages}


async def _who_reads_nothing(url: str, name: str, secret: str) -> asyncio.StreamWriter:
    """Subscribes to everything public and leaves it in the socket."""
    host, port = url.removeprefix("nats://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    said = json.dumps({"user": name, "pass": secret, "verbose": False, "headers": True, "protocol": 1})
    writer.write(f"CONNECT {said}\r\nSUB potluck.model.> 1\r\nPING\r\n".encode())
    await writer.drain()
    return writer


async def test_events_survive_a_restart_of_either_server(
    fresh_streams: NatsServer, inside: JetStreamContext, tmp_path: Path
) -> None:
    outside = beside(fresh_streams, tmp_path / "outside")
    with outside.running():
        await outside.provision()
        alice = await asyncio.to_thread(outside.add, "alice")
        await say(inside, "potluck.model.published", b"1.0")
        async with connected(outside.server.listener.url, alice) as (client, _):
            await fetched(await own_consumer(client, "alice"), 1)
    await say(inside, "potluck.model.published", b"1.1")  # while it is away
    with outside.running():
        async with connected(outside.server.listener.url, alice) as (client, _):
            assert [one.data for one in await fetched(await own_consumer(client, "alice"), 1)] == [b"1.1"]


async def test_tls_and_websockets(fresh_streams: NatsServer, inside: JetStreamContext, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    certificate, key = authority.sign("localhost")
    port = free_port()
    outside = beside(fresh_streams, tmp_path / "outside", certificate=certificate, key=key, websocket_port=port)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    strange = ssl.create_default_context(cafile=str(Authority(tmp_path / "other").file))
    with outside.running():
        await outside.provision()
        alice = await asyncio.to_thread(outside.add, "alice")
        await say(inside, "potluck.model.published", b"1.0")
        address = f"localhost:{outside.server.listener.port}"
        async with connected(f"tls://{address}", alice, tls=trusting) as (client, _):
            assert len(await fetched(await own_consumer(client, "alice"), 1)) == 1
        heard = await _over_a_websocket(f"wss://localhost:{port}", str(alice.password), authority.file)
        assert heard == (0, "1.0\n"), heard
        code, said = await _over_a_websocket(f"wss://localhost:{port}", "guessed", authority.file)
        assert (code, "Authorization Violation" in said) == (1, True)
        with pytest.raises(ssl.SSLError):
            await _refused(f"tls://{address}", "alice", alice.password, tls=strange)
        with pytest.raises((nats.errors.Error, ssl.SSLError, OSError)):
            await _refused(f"nats://{address}", "alice", alice.password)


async def _over_a_websocket(url: str, secret: str, authority: Path) -> tuple[int | None, str]:
    """Exit code and words of the JavaScript client, asked for one event."""
    process = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "--eval", WEBSOCKET, url, secret,
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(authority)}, stdout=-1, stderr=-2, cwd=ROOT,
    )  # fmt: skip
    async with asyncio.timeout(patience.SECONDS):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


async def _refused(url: str, user: str, secret: str | None, **options: object) -> Client:
    return await nats.connect(
        url, user=user, password=secret, allow_reconnect=False, connect_timeout=30, error_cb=_ignore, **options
    )


def test_a_certificate_that_cannot_be_used_is_told_before_the_start(tmp_path: Path) -> None:
    certificate, _ = Authority(tmp_path / "one").sign("localhost")
    _, key = Authority(tmp_path / "two").sign("localhost")
    with pytest.raises(CannotStart, match="cannot be used for events"):
        Listener(certificate=certificate, key=key).check()
    with pytest.raises(CannotStart, match="No such file"):
        Listener(certificate=tmp_path / "nowhere.pem", key=key).check()


def test_public_is_what_the_contracts_say() -> None:
    assert PUBLIC_SUBJECTS == ("potluck.model.>", "potluck.dataset.published")
