"""Errors as gRPC statuses: a code, a sentence, and google.rpc details for programs."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import psycopg
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from kit.logs import get_logger
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from registry.domain.refusals import InvalidField, NotAdmitted, NotOffered, TookTooLong, TooMuch, UnknownResource
from registry.domain.rounds import (
    InvalidRequest,
    NotInThisState,
    NotStored,
    RegistryError,
    StaleFence,
    UnknownDataset,
    UnknownModel,
    UnknownRound,
)

log = get_logger(__name__)

DOMAIN = "potluck"
DETAILS = "grpc-status-details-bin"
"""The metadata in which every gRPC library looks for a google.rpc.Status."""

# FAILED_PRECONDITION means one thing to a worker: a successor owns the round, drop it. To an operator: not now.
CODES: dict[type[RegistryError], grpc.StatusCode] = {
    UnknownRound: grpc.StatusCode.NOT_FOUND,
    UnknownModel: grpc.StatusCode.NOT_FOUND,
    UnknownDataset: grpc.StatusCode.NOT_FOUND,
    UnknownResource: grpc.StatusCode.NOT_FOUND,
    StaleFence: grpc.StatusCode.FAILED_PRECONDITION,
    NotInThisState: grpc.StatusCode.FAILED_PRECONDITION,
    NotOffered: grpc.StatusCode.FAILED_PRECONDITION,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
    NotStored: grpc.StatusCode.INVALID_ARGUMENT,
    NotAdmitted: grpc.StatusCode.UNAUTHENTICATED,
    TooMuch: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TookTooLong: grpc.StatusCode.DEADLINE_EXCEEDED,
}
AWAY = "the registry's database or storage does not answer; try again"

Context = grpc.aio.ServicerContext[Any, Any]


def details_of(error: RegistryError) -> list[Message]:
    """What programs may want to know: always an ErrorInfo, whose reason is the kind of error, e.g. UNKNOWN_MODEL."""
    reason = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).upper()
    details: list[Message] = []
    if isinstance(error, InvalidField):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, UnknownResource):
        reason = f"UNKNOWN_{error.kind.upper()}"
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=f"{DOMAIN}/{error.kind}", resource_name=error.name, description=str(error)
            )
        )
    elif isinstance(error, TooMuch) and error.retry_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_seconds * 1e9))
        details.append(retry)
    return [error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), *details]


async def refuse(context: Context, code: grpc.StatusCode, text: str, details: list[Message] | None = None) -> None:
    """End the call with the sentence and its details."""
    trailing = []
    if details:
        status = status_pb2.Status(code=code.value[0], message=text)
        for one in details:
            status.details.add().Pack(one)
        trailing = [(DETAILS, status.SerializeToString())]
    await context.abort(code, text, tuple(trailing))


@asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """Turn errors into status codes with details that say what to do."""
    try:
        yield
    except RegistryError as error:
        await refuse(context, CODES[type(error)], str(error), details_of(error))
    except (ValidationError, psycopg.DataError) as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except (psycopg.OperationalError, PoolTimeout, OSError) as error:
        log.warning("call-waits-for-infrastructure", error=repr(error))
        await context.abort(grpc.StatusCode.UNAVAILABLE, AWAY)
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        log.exception("call-failed", error=repr(error))
        await context.abort(grpc.StatusCode.INTERNAL, "the registry failed; its log says why")
