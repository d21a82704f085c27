"""gRPC servers and channels with health, reflection, tokens, certificates, keepalive and traces."""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from pydantic import SecretStr

from kit.tls import ClientTls, ServerTls

KEEPALIVE = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # keepalive_timeout_ms is not honoured by grpcio 1.85; this is what notices a frozen peer.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Idle channels of ours ping on purpose: a server must not take that for abuse (GOAWAY too_many_pings).
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
]
# Of an address for strangers, who need not ping: one that pings more than every 20 s is told to stop (GOAWAY).
PUBLIC_KEEPALIVE = [
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.max_connection_idle_ms", 600_000),
    ("grpc.so_reuseport", 0),
]
RECONNECT = [
    # The default waits up to two minutes between tries: longer than a lease lives.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


@dataclass(frozen=True, slots=True)
class PublicLimits:
    """Of an address for strangers: the largest request, and how many calls may be open at a time."""

    request_bytes: int
    calls: int


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One gRPC service: its generated `add_…_to_server`, the servicer, its full name, the token that it asks for.

    Without a token anyone who reaches the address may call it.
    """

    add: Callable[[Any, grpc.aio.Server], None]
    servicer: Any
    full_name: str
    token: SecretStr | None = None


if TYPE_CHECKING:
    Method = grpc.RpcMethodHandler[Any, Any]  # generic for the type checker alone
else:
    Method = grpc.RpcMethodHandler
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Method | None]]


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED unless the call carries its service's bearer token."""

    def __init__(self, tokens: Mapping[str, SecretStr]) -> None:
        self._tokens = tokens

        async def deny(_request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "missing or wrong bearer token; set the authorization metadata",
            )

        self._deny: Method = grpc.unary_unary_rpc_method_handler(deny)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Method | None:
        service = handler_call_details.method.rsplit("/", 2)[-2]
        wanted = self._tokens.get(service)
        if wanted is None:
            return await continuation(handler_call_details)
        metadata = dict(handler_call_details.invocation_metadata or ())
        given = str(metadata.get("authorization", "")).removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), wanted.get_secret_value().encode()):
            return await continuation(handler_call_details)
        return self._deny


@asynccontextmanager
async def serve(
    address: str, entries: Sequence[ServiceEntry], grace_seconds: float = 5, tls: ServerTls | None = None
) -> AsyncIterator[int]:
    """Serve on `host:port` (port 0: a free one) and yield the port. Without `tls` nothing is encrypted."""
    tokens = {entry.full_name: entry.token for entry in entries if entry.token is not None}
    server = grpc.aio.server(interceptors=[aio_server_interceptor(), TokenInterceptor(tokens)], options=KEEPALIVE)
    async with _served(server, address, entries, grace_seconds, tls) as port:
        yield port


@asynccontextmanager
async def serve_publicly(
    address: str,
    entries: Sequence[ServiceEntry],
    limits: PublicLimits,
    grace_seconds: float = 5,
    tls: ServerTls | None = None,
) -> AsyncIterator[int]:
    """As `serve`, for strangers. Who may call is the servicers' business: tokens of entries are not looked at.

    Calls are not traced: a span costs more than the answer to most of them.
    """
    sizes = [("grpc.max_receive_message_length", limits.request_bytes), ("grpc.max_send_message_length", -1)]
    server = grpc.aio.server(options=[*PUBLIC_KEEPALIVE, *sizes], maximum_concurrent_rpcs=limits.calls)
    async with _served(server, address, entries, grace_seconds, tls) as port:
        yield port


@asynccontextmanager
async def _served(
    server: grpc.aio.Server,
    address: str,
    entries: Sequence[ServiceEntry],
    grace_seconds: float,
    tls: ServerTls | None,
) -> AsyncIterator[int]:
    for entry in entries:
        entry.add(entry.servicer, server)
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    names = [entry.full_name for entry in entries]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls.credentials())
    await server.start()
    for name in ["", *names]:
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await status.enter_graceful_shutdown()
        await server.stop(grace_seconds)


class BearerInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the bearer token to every call."""

    def __init__(self, token: SecretStr) -> None:
        self._header = ("authorization", f"Bearer {token.get_secret_value()}")

    async def intercept_unary_unary(
        self, continuation: Callable[..., Awaitable[Any]], client_call_details: Any, request: Any
    ) -> Any:
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()), self._header)
        return await continuation(client_call_details._replace(metadata=metadata), request)


def channel(address: str, token: SecretStr | None = None, tls: ClientTls | None = None) -> grpc.aio.Channel:
    """A channel to one service, encrypted with `tls`.

    Set a deadline on every call: the service-config `timeout` does not work.
    """
    interceptors = list(aio_client_interceptors())
    if token is not None:
        interceptors.append(BearerInterceptor(token))
    options = [*KEEPALIVE, *RECONNECT]
    if tls is None:
        return grpc.aio.insecure_channel(address, interceptors=interceptors, options=options)
    return grpc.aio.secure_channel(address, tls.credentials(), interceptors=interceptors, options=options)
