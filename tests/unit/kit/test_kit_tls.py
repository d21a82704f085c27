"""Mutual TLS between real gRPC peers, and what is said of files that cannot be used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import patience
import pytest
from certificates import Authority
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kit.rpc import channel, serve
from kit.tls import ClientTls, ServerTls, TlsError, is_loopback

ENDED = timedelta(days=-1)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "theirs")


async def answered(port: int, tls: ClientTls | None) -> bool:
    """Whether a peer gets an answer; otherwise the handshake ended it."""
    async with channel(f"127.0.0.1:{port}", tls=tls) as connection:
        stub = health_pb2_grpc.HealthStub(connection)
        try:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=patience.SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True


@asynccontextmanager
async def serving(tls: ServerTls) -> AsyncIterator[int]:
    async with serve("127.0.0.1:0", [], grace_seconds=0.1, tls=tls) as port:
        yield port


async def test_mutual_tls_lets_in_only_whom_our_authority_signed(ours: Authority, theirs: Authority) -> None:
    async with serving(ServerTls(*ours.sign("127.0.0.1"), client_ca=ours.file)) as port:
        assert await answered(port, ClientTls(ours.file, *ours.sign("worker-1")))
        assert not await answered(port, ClientTls(ours.file)), "no certificate"
        assert not await answered(port, ClientTls(ours.file, *theirs.sign("worker-1"))), "signed by others"
        assert not await answered(port, ClientTls(ours.file, *ours.sign("worker-1", lifetime=ENDED))), "expired"
        assert not await answered(port, None), "not encrypted"


async def test_a_client_speaks_only_to_the_server_that_it_knows(ours: Authority, theirs: Authority) -> None:
    async with serving(ServerTls(*ours.sign("127.0.0.1"))) as port:
        assert await answered(port, ClientTls(ours.file))
        assert not await answered(port, ClientTls(theirs.file)), "another authority"
    async with serving(ServerTls(*ours.sign("127.0.0.1", lifetime=ENDED))) as port:
        assert not await answered(port, ClientTls(ours.file)), "expired"
    async with serving(ServerTls(*ours.sign("registry.example.org"))) as port:
        assert not await answered(port, ClientTls(ours.file)), "another host"


def test_files_that_cannot_be_used_are_named(ours: Authority, theirs: Authority, tmp_path: Path) -> None:
    certificate, key = ours.sign("127.0.0.1")
    _, other_key = theirs.sign("127.0.0.1")
    nowhere, garbage = tmp_path / "nowhere.pem", tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    with pytest.raises(TlsError, match=r"nowhere\.pem cannot be read: No such file"):
        ServerTls(nowhere, key).check()
    with pytest.raises(TlsError, match="cannot be used"):
        ServerTls(garbage, key).check()
    with pytest.raises(TlsError, match="cannot be used: KEY_VALUES_MISMATCH"):
        ServerTls(certificate, other_key).check()
    with pytest.raises(TlsError, match=r"certificate authority .*garbage\.pem cannot be used"):
        ServerTls(certificate, key, garbage).check()
    with pytest.raises(TlsError, match="belong together"):
        ClientTls(ours.file, certificate).check()
    ServerTls(certificate, key, ours.file).check()
    ClientTls(ours.file, certificate, key).check()


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("10.0.0.7:1", False),
        ("registry.example.org:1", False),
        ("[::]:1", False),
    ],
)
def test_the_loopback_is_this_machine_alone(address: str, here: bool) -> None:
    assert is_loopback(address) is here
