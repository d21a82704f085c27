"""Requests that create something, and may be sent again: `Idempotency-Key`.

The answer is kept for a day by person and key, and given again to the same request. An answer that holds a secret is
never kept: its repetition is refused with the address of what was made, so that it can be revoked and made anew.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from kit.db import Database
from kit.queries import Row
from starlette.requests import Request
from starlette.responses import Response

from gateway.domain import Person
from gateway.forms.drafts import read_key
from gateway.problems import Problem, invalid_field
from gateway.store import Store

HEADER = "Idempotency-Key"
KEPT_SECONDS = 24 * 3600.0
# A process that died with a request in its hands never says so; no request takes this long.
ABANDONED_SECONDS = 120.0
KEPT_HEADERS = ("location", "content-type", "cache-control", "upload-offset", "upload-expires", "tus-resumable")

Act = Callable[[], Awaitable[Response]]


def fingerprint(method: str, path: str, fields: Any) -> str:
    """Tells a repeated request from another one under the same key. `fields` have no secret in them."""
    return hashlib.sha256(json.dumps([method, path, fields], sort_keys=True, default=str).encode()).hexdigest()


class Repeats:
    """Raises Problem: 422 another request under this key, 409 under way (Retry-After) or shown once."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store.repeats

    async def once(
        self, request: Request, person: Person, fields: Any, act: Act, *, shown_once: Callable[[Response], bool] = bool
    ) -> Response:
        """What `act` answers, or answered when this request came before; without the header just `act`.

        `fields`: what makes this request this one, without secrets. `shown_once`: whether the answer holds a secret.
        Only an answer below 400 is kept: after a refusal the key is free, also for the request put right.
        """
        key = read_key(request.headers.get(HEADER))
        if key is None:
            return await act()
        told = fingerprint(request.method, request.url.path, fields)
        begun = await self._claim(person, key, told)
        if begun is None:
            return await self._again(person, key, told)
        try:
            response = await act()
        except BaseException:
            async with self._database.transaction() as connection:
                await self._store.release(connection, person.id, key, begun)
            raise
        await self._keep(person, key, begun, response, secret=shown_once(response))
        return response

    async def has_answer(self, request: Request, person: Person, fields: Any) -> bool:
        """Whether this very request was answered before, by its key."""
        key = read_key(request.headers.get(HEADER))
        if key is None:
            return False
        async with self._database.transaction() as connection:
            earlier = await self._store.claimed(connection, person.id, key)
        told = fingerprint(request.method, request.url.path, fields)
        return earlier is not None and earlier["request_sha256"] == told

    async def sweep(self) -> None:
        async with self._database.transaction() as connection:
            await self._store.sweep(connection, KEPT_SECONDS)

    async def _claim(self, person: Person, key: str, told: str) -> datetime | None:
        async with self._database.transaction() as connection:
            return await self._store.claim(connection, person.id, key, told, ABANDONED_SECONDS, KEPT_SECONDS)

    async def _keep(self, person: Person, key: str, begun: datetime, response: Response, *, secret: bool) -> None:
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        if secret:
            # A ticket in an address is as good as a password: the address without it says what was made.
            kept = {"location": kept.get("location", "").partition("?")[0]}
        async with self._database.transaction() as connection:
            await self._store.keep(
                connection,
                person.id,
                key,
                begun,
                status=response.status_code,
                headers=kept,
                body=b"" if secret else bytes(response.body),
                shown_once=secret,
            )

    async def _again(self, person: Person, key: str, told: str) -> Response:
        async with self._database.transaction() as connection:
            earlier = await self._store.claimed(connection, person.id, key)
        if earlier is None or (earlier["status"] is None and earlier["request_sha256"] == told):
            raise _under_way()
        if earlier["request_sha256"] != told:
            raise invalid_field(
                HEADER,
                "This key came with another request before.",
                "Use a new key for a new request, and the same key only to repeat one.",
            )
        if earlier["shown_once"]:
            raise _shown_once(earlier)
        headers = dict(earlier["headers"]) | {"idempotency-replayed": "true"}
        return Response(bytes(earlier["body"]), earlier["status"], headers)


def _under_way() -> Problem:
    return Problem(
        409,
        "request-under-way",
        "Under way",
        "The same request is being answered just now.",
        field=HEADER,
        remedy="Send it again in a moment: you get its answer.",
        headers={"retry-after": "1"},
    )


def _shown_once(earlier: Row) -> Problem:
    location = str(earlier["headers"].get("location", ""))
    return Problem(
        409,
        "shown-once",
        "Shown once",
        f"This request was done before and made {location}; the secret in its answer is kept nowhere.",
        field=HEADER,
        remedy="Remove what it made if the answer did not reach you, and ask with a new key.",
        headers={"location": location},
    )
