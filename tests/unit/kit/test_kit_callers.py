"""Who is let in, and how often; addresses that expire."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from kit.callers import Callers, TooManyCalls, Unknown
from kit.signed_urls import PATH, SignatureRefused, check, signed_url
from pydantic import SecretStr

TOKENS = {"one": SecretStr("token-of-one"), "two": SecretStr("token-of-two")}
SECRET = SecretStr("s" * 32)
PEER = "ipv4:192.0.2.1:50000"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def callers(clock: Clock, *, anonymous: bool) -> Callers:
    return Callers(TOKENS, anonymous=anonymous, per_second=2, burst=3, clock=clock)


def test_a_wrong_token_is_no_anonymous_caller() -> None:
    open_to_all = callers(Clock(), anonymous=True)
    open_to_all.admit(None, PEER)
    open_to_all.admit("Bearer token-of-one", PEER)
    open_to_all.admit(b"Bearer token-of-two", PEER)
    for wrong in ("Bearer token-of-three", "token", "Bearer ", "Bearer \xe9"):
        with pytest.raises(Unknown):
            open_to_all.admit(wrong, PEER)
    with pytest.raises(Unknown):
        callers(Clock(), anonymous=False).admit(None, PEER)


def test_each_caller_has_a_bucket_of_its_own() -> None:
    clock = Clock()
    one = callers(clock, anonymous=True)
    for port in range(3):
        one.admit(None, f"ipv4:192.0.2.1:{port}")
    with pytest.raises(TooManyCalls) as empty:
        one.admit(None, PEER)
    assert empty.value.retry_seconds == pytest.approx(0.5)
    one.admit(None, "ipv4:192.0.2.2:1")
    one.admit("Bearer token-of-one", PEER)
    clock.now += 0.5
    one.admit(None, PEER)
    with pytest.raises(TooManyCalls):
        one.admit(None, PEER)
    clock.now += 1000
    for _ in range(3):
        one.admit(None, PEER)
    with pytest.raises(TooManyCalls):
        one.admit(None, PEER)


def told(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return unquote(parts.path).removeprefix(PATH), query["expires"][0], query["signature"][0]


def test_an_address_works_as_it_is_until_it_expires() -> None:
    url = signed_url("http://site.example/", "models/1.0/ab c/model.pt", 1000, SECRET)
    assert url.startswith("http://site.example/api/v1/files/models/1.0/ab%20c/model.pt?")
    key, expires, signature = told(url)
    check(key, expires, signature, SECRET, 999)
    for wrong in (
        (key + "x", expires, signature, SECRET, 999),
        (key, "1001", signature, SECRET, 999),
        (key, expires, signature[:-1] + "g", SECRET, 999),
        (key, expires, "é", SECRET, 999),
        (key, expires, signature, SecretStr("t" * 32), 999),
        (key, expires, signature, SECRET, 1000),
        (key, None, signature, SECRET, 999),
        (key, "1e3", signature, SECRET, 999),
        (key, expires, None, SECRET, 999),
    ):
        with pytest.raises(SignatureRefused):
            check(*wrong)
