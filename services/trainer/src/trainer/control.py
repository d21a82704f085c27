"""How a worker reaches a training program on another machine: a file in the attempt's folder.

The worker counts in it; when it stops counting it is gone, and nobody waits for what the job computes.
"""

import time
from collections.abc import Callable
from pathlib import Path

CONTROL_FILE = "control"
STOP = "stop"
# A worker writes every few seconds; a file system of a cluster may show it late, a queue may be slow.
ABANDONED_SECONDS = 900.0
_LOOK_SECONDS = 1.0


class Control:
    """The file, as the training program sees it. Clocks of two machines are never compared."""

    def __init__(
        self,
        file: Path,
        abandoned_seconds: float = ABANDONED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._abandoned_seconds = abandoned_seconds
        self._clock = clock
        self._text = ""
        self._changed = clock()
        self._next_look = clock()
        self._stop = False

    def says_stop(self) -> bool:
        """Whether the worker said so, or has been silent for too long. Looks at most once a second."""
        now = self._clock()
        if self._stop or now < self._next_look:
            return self._stop
        self._next_look = now + _LOOK_SECONDS
        try:
            text = self._file.read_text().strip()
        except OSError:  # being replaced, or away for a moment
            text = self._text
        if text != self._text:
            self._text, self._changed = text, now
        self._stop = text == STOP or now - self._changed > self._abandoned_seconds
        return self._stop
