"""The registry's public listener on a bench: what strangers reach."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from contracts.registry.v1.registry_pb2_grpc import RegistryServiceStub
from google.rpc import status_pb2
from kit.callers import Callers
from kit.rpc import PublicLimits, ServiceEntry, serve_publicly
from kit.tls import ServerTls
from registry.queries.querying import Querying
from registry.queries.rpc import SERVICE, add_queries
from registry.settings import RegistrySettings
from registry_bench import SIGNING_KEY, TOKEN, Bench

if TYPE_CHECKING:
    from contracts.registry.v1.registry_pb2_grpc import RegistryServiceAsyncStub

DOWNLOAD_SECRET = "5" * 64


@dataclass
class PublicRegistry:
    """Where it answers, a stub of an anonymous caller, and what answers."""

    address: str
    stub: "RegistryServiceAsyncStub"
    querying: Querying


def settings_of(bench: Bench, **changes: Any) -> RegistrySettings:
    """As an operator would set them; `changes` are settings by name."""
    values: dict[str, Any] = {
        "blobs_url": "memory:///",
        "growth_policy": "unused.json",
        "fleet_token": TOKEN,
        "open_queries": True,
        "signing_key": SIGNING_KEY,
        "public_address": "127.0.0.1:0",
        "public_calls_per_second": 0,
        "download_url": "http://site.example",
        "download_secret": DOWNLOAD_SECRET,
    }
    return RegistrySettings(**(values | changes))


@asynccontextmanager
async def public_registry(
    bench: Bench, settings: RegistrySettings, tls: ServerTls | None = None
) -> AsyncIterator[PublicRegistry]:
    """Serves while the block runs, following the database."""
    querying = Querying.built(settings, bench.database, bench.blobs, bench.store)
    await querying.catalogue.open()
    following = asyncio.create_task(querying.catalogue.follow())
    callers = Callers(
        settings.public_tokens,
        anonymous=settings.anonymous,
        per_second=settings.public_calls_per_second,
        burst=settings.public_burst,
    )
    entry = ServiceEntry(add_queries, querying.public(callers), SERVICE)
    limits = PublicLimits(settings.public_request_bytes, settings.public_open_calls)
    try:
        async with serve_publicly("127.0.0.1:0", [entry], limits, grace_seconds=1, tls=tls) as port:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield PublicRegistry(f"127.0.0.1:{port}", RegistryServiceStub(channel), querying)
            querying.watchers.close()
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The google.rpc details of an error by the names of their messages."""
    from google.rpc import error_details_pb2

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode())
            assert status.code == error.code().value[0]
            found = {}
            for packed in status.details:
                name = packed.TypeName().rpartition(".")[2]
                message = getattr(error_details_pb2, name)()
                assert packed.Unpack(message)
                found[name] = message
            return found
    return {}


async def error_of(call: Any) -> grpc.aio.AioRpcError:
    """The error that a call must end with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call succeeded")
