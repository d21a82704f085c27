"""Where webhooks may lead, how they are signed, and what comes of an answer."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from certificates import Authority
from gateway.pages.webhooks import ABOUT, CHOSEN_FIRST
from gateway.problems import Problem
from gateway.webhooks.rules import (
    DELAYS_SECONDS,
    TYPES,
    delay_after,
    is_public_address,
    new_secret,
    signature,
    wanted,
)
from gateway.webhooks.sender import Post

PUBLISHED = "potluck.model.published.v1"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::", "::1", "fe80::1", "fc00::1", "ff02::1",
        "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_addresses_that_lead_inside(address: str) -> None:
    assert not is_public_address(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public_address(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "https://", "ftp://example.org/", "http://example.org/", "https://user:word@example.org/",
        "https://user@example.org/", "https://example.org:0/", "https://example.org:99999/", "https://exa mple.org/",
        "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/",
        "https://example.org/\r\nx: y", "https://exämple.org/", "https://example.org/" + "x" * 1000, None, 7,
    ],
)  # fmt: skip
def test_what_is_no_address_for_events(url: object) -> None:
    with pytest.raises(Problem) as caught:
        wanted({"url": url, "types": [PUBLISHED]}, anywhere=False)
    assert [one.field for one in caught.value.errors] == ["url"]


@pytest.mark.parametrize("types", [None, [], "potluck", ["potluck.dataset.uploaded.v1"], [PUBLISHED, "x"], [7], [[]]])
def test_only_public_events_may_be_asked_for(types: object) -> None:
    with pytest.raises(Problem) as caught:
        wanted({"url": "https://example.org/", "types": types}, anywhere=False)
    assert [one.field for one in caught.value.errors] == ["types"]


def test_what_may_be_asked_for() -> None:
    asked = wanted({"url": " https://example.org:8443/x?y=1 ", "types": [PUBLISHED, PUBLISHED]}, anywhere=False)
    assert (asked.url, asked.types) == ("https://example.org:8443/x?y=1", (PUBLISHED,))
    assert wanted({"url": "http://127.0.0.1:1/", "types": [PUBLISHED]}, anywhere=True).url == "http://127.0.0.1:1/"
    assert set(TYPES) == set(ABOUT) >= set(CHOSEN_FIRST)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of its specification."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert (
        signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
    made = new_secret()
    key = base64.b64decode(made.removeprefix("whsec_"))
    assert len(key) == 32
    expected = base64.b64encode(hmac.new(key, b"id.1." + body, hashlib.sha256).digest()).decode()
    assert signature(made, "id", 1, body) == f"v1,{expected}"
    assert new_secret() != made


def test_tries_come_ever_later_for_more_than_a_day() -> None:
    delays = [delay_after(attempts) for attempts in range(1, len(DELAYS_SECONDS) + 1)]
    assert delays == sorted(delays, key=lambda one: one or 0)
    assert sum(DELAYS_SECONDS) > 24 * 3600
    assert delay_after(len(DELAYS_SECONDS) + 1) is None


@asynccontextmanager
async def receiver(
    answer: bytes, heard: list[bytes], tls: ssl.SSLContext | None = None, wait: float = 0
) -> AsyncIterator[int]:
    """A server that answers every request with these bytes. Gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(wait)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def leading_to(*addresses: str) -> tuple[Callable[[str, int], object], list[str]]:
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return list(addresses)

    return resolve, asked


OK = b"HTTP/1.1 204 No Content\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
ENDLESS = b"HTTP/1.1 500 Oops\r\n\r\n" + b"no " * 100_000


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::1",), ("169.254.169.254",), ()])
async def test_a_name_that_leads_inside_is_not_connected_to(addresses: tuple[str, ...]) -> None:
    heard: list[bytes] = []
    async with receiver(OK, heard) as port:
        resolve, _ = leading_to(*addresses)
        post = Post(2, anywhere=False, resolve=resolve)  # type: ignore[arg-type]
        outcome = await post.send(f"http://inside.example:{port}/", new_secret(), "id", b"{}")
        await post.close()
    assert (outcome.status, outcome.taken, heard) == (None, False, [])
    assert "public internet" in outcome.problem or "no address" in outcome.problem


async def test_it_connects_to_the_address_that_was_looked_at_and_asks_for_the_name(tmp_path: Path) -> None:
    """One look-up, one connection, and the certificate must be that of the name."""
    authority, heard = Authority(tmp_path), list[bytes]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("hooks.example"))
    trusting = ssl.create_default_context(cafile=str(authority.file))
    async with receiver(OK, heard, context) as port:
        resolve, asked = leading_to("127.0.0.1")
        post = Post(5, anywhere=True, resolve=resolve, tls=trusting)  # type: ignore[arg-type]
        outcome = await post.send(f"https://hooks.example:{port}/in?x=1", new_secret(), "an-id", b"{}")
        assert (outcome.status, outcome.taken, asked) == (204, True, ["hooks.example"])
        wrong = await post.send(f"https://other.example:{port}/", new_secret(), "an-id", b"{}")
        assert (wrong.status, wrong.taken) == (None, False)
        assert "certificate" in wrong.problem.lower()
        await post.close()
    head = heard[0].decode().lower()
    assert head.startswith("post /in?x=1 http/1.1\r\n")
    assert f"host: hooks.example:{port}\r\n" in head
    assert "webhook-id: an-id\r\n" in head
    assert "content-type: application/cloudevents+json\r\n" in head


async def test_redirects_are_not_followed_and_words_are_kept_short() -> None:
    heard: list[bytes] = []
    post = Post(5, anywhere=True)
    async with receiver(REDIRECT, heard) as port:
        outcome = await post.send(f"http://127.0.0.1:{port}/", new_secret(), "id", b"{}")
        assert (outcome.status, outcome.taken) == (302, False)
        assert "redirects are not followed" in outcome.problem
    async with receiver(ENDLESS, heard) as port:
        outcome = await post.send(f"http://127.0.0.1:{port}/", new_secret(), "id", b"{}")
        assert outcome.status == 500
        assert outcome.problem.startswith("500 Oops: no no")
        assert len(outcome.problem) <= 300
    await post.close()
    assert len(heard) == 2


async def test_what_a_receiver_answers_is_neither_unpacked_nor_kept_with_bytes_that_no_database_takes() -> None:
    heard: list[bytes] = []
    packed = gzip.compress(bytes(64 << 20))
    bomb = b"HTTP/1.1 500 Oops\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
    post = Post(5, anywhere=True)
    tracemalloc.start()
    try:
        async with receiver(bomb, heard) as port:
            outcome = await post.send(f"http://127.0.0.1:{port}/", new_secret(), "id", b"{}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome.status == 500
    assert peak < 16 << 20
    assert b"accept-encoding: identity" in heard[0].lower()
    async with receiver(b"HTTP/1.1 500 Oops\r\n\r\na\x00b\x1b[31m", heard) as port:
        outcome = await post.send(f"http://127.0.0.1:{port}/", new_secret(), "id", b"{}")
    assert outcome.problem == "500 Oops: a b [31m"
    await post.close()


async def test_who_answers_too_late_or_nonsense_has_not_taken_it() -> None:
    heard: list[bytes] = []
    post = Post(0.3, anywhere=True)
    async with receiver(OK, heard, wait=5) as port:
        outcome = await post.send(f"http://127.0.0.1:{port}/", new_secret(), "id", b"{}")
        assert outcome == type(outcome)(None, "no answer within 0.3 s")
    async with receiver(b"\x00\xff nonsense\r\n\r\n", heard) as port:
        outcome = await post.send(f"http://127.0.0.1:{port}/", new_secret(), "id", b"{}")
        assert (outcome.status, outcome.taken) == (None, False)
    nobody = await post.send("http://127.0.0.1:1/", new_secret(), "id", b"{}")
    assert nobody.status is None
    await post.close()
