"""When to try again: growing pauses, bounded by the time without any progress."""

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from potluck import stopping

if TYPE_CHECKING:
    import httpx

RETRIED_STATUS = frozenset({423, 429, 500, 502, 503, 504})
FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 15.0


class Patience:
    """Counts the pauses of one operation. `progressed()` starts the count afresh."""

    def __init__(
        self,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock
        self.progressed()

    def progressed(self) -> None:
        self._since = self._clock()
        self._pause = FIRST_PAUSE_SECONDS

    def wait(self, asked_seconds: float | None = None) -> bool:
        """Pauses before another try; False, at once, when the time is up. `asked_seconds`: Retry-After."""
        # Jitter keeps a thousand clients of a restarted server from coming back in the same instant.
        pause = max(asked_seconds or 0.0, self._pause * random.uniform(0.7, 1.3))  # noqa: S311 (no secret)
        if self._clock() + pause - self._since > self._seconds:
            return False
        stopping.check()
        self._sleep(pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return True


def retry_after(response: "httpx.Response") -> float | None:
    """Seconds that the server asks us to wait, when it says so in seconds."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
