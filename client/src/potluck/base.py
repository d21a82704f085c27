"""What every part of the SDK stands on: one server, one account, one way to send."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from potluck import config
from potluck.errors import NotSignedIn

if TYPE_CHECKING:
    import httpx


PARALLEL = 4


def no_report(done: int, total: int) -> None:
    """Nobody watches the progress."""


class Base:
    """See `Client`."""

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        patience_seconds: float | None = None,
        state_folder: Path | None = None,
        http: "httpx.BaseTransport | None" = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # What speaks HTTP loads with the first client, not with the import.
        from potluck.pending import PendingUploads
        from potluck.retry import Patience
        from potluck.transport import Transport

        settings = config.settings()
        seconds = settings.patience_seconds if patience_seconds is None else patience_seconds
        self.server = config.chosen_server(server)
        self._token = token or config.token_for(self.server)
        self._parallel = settings.parallel or (1 if config.on_this_machine(self.server) else PARALLEL)
        self._sleep, self._clock = sleep, clock
        self._pending = PendingUploads(state_folder or config.state_folder())
        self._transport = Transport(
            self.server, self._token, new_patience=lambda: Patience(seconds, sleep, clock), http=http
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def _require_token(self) -> None:
        if not self._token:
            raise NotSignedIn("you are not signed in", where=self.server, remedy="Sign in: potluck login")


def listed(answer: object, name: str) -> object:
    """A list of the API stands under its own name."""
    return answer.get(name) if isinstance(answer, dict) else answer
