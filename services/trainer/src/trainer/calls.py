"""What a status of the registry means to a worker."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from trainer.domain import LeaseLost, RegistryAway, RegistryRefused

Request = TypeVar("Request")
Response = TypeVar("Response")

_LOST = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND)
_REFUSED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)


async def asked(method: Callable[..., Awaitable[Response]], request: Request, deadline: float) -> Response:
    """The answer, asked for once. Raises LeaseLost, RegistryAway or RegistryRefused."""
    try:
        return await method(request, timeout=deadline)
    except grpc.aio.AioRpcError as error:
        words = f"{error.code().name}: {error.details()}"
        if error.code() in _LOST:
            raise LeaseLost(words) from error
        if error.code() in _REFUSED:
            raise RegistryRefused(words) from error
        raise RegistryAway(words) from error
