"""Who may call a public gRPC address, and how often: bearer tokens, anonymous callers, a bucket of calls for each."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

MOST_REMEMBERED = 10_000
"""Callers with a bucket of their own; the one that was quiet longest is forgotten first, with a full bucket."""


class Unknown(Exception):
    """The caller shows no token, or a wrong one."""


class TooManyCalls(Exception):
    """The caller's bucket is empty; there is a call again in `retry_seconds`."""

    def __init__(self, retry_seconds: float) -> None:
        super().__init__(retry_seconds)
        self.retry_seconds = retry_seconds


@dataclass(slots=True)
class _Bucket:
    calls: float
    at: float


class Callers:
    """Tokens by the names of those who hold them. A caller with a token has one bucket, wherever it calls from; an
    anonymous one has that of its address.

    per_second  calls that flow back into each bucket; 0: nobody is limited
    burst       calls that a bucket holds
    """

    def __init__(
        self,
        tokens: Mapping[str, SecretStr],
        *,
        anonymous: bool,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = {name: token.get_secret_value().encode() for name, token in tokens.items()}
        self._anonymous = anonymous
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, authorization: str | bytes | None, peer: str) -> None:
        """One call. `peer` is gRPC's: 'ipv4:192.0.2.1:50000'. Raises Unknown, TooManyCalls."""
        caller = self._caller(authorization, peer)
        if self._per_second:
            self._take(caller)

    def _caller(self, authorization: str | bytes | None, peer: str) -> str:
        if authorization:
            given = authorization.encode() if isinstance(authorization, str) else authorization
            given = given.removeprefix(b"Bearer ")
            # All are compared: how long it takes tells nothing.
            found = [name for name, token in self._tokens.items() if hmac.compare_digest(given, token)]
            if not found:
                raise Unknown
            return f"token:{found[0]}"
        if not self._anonymous:
            raise Unknown
        return peer.rpartition(":")[0]

    def _take(self, caller: str) -> None:
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(self._burst, now)
            if len(self._buckets) > MOST_REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller)
        bucket.calls = min(self._burst, bucket.calls + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.calls < 1:
            raise TooManyCalls((1 - bucket.calls) / self._per_second)
        bucket.calls -= 1
