"""Everything that the demo saw, for whoever judges it or writes it down."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from potluck.resources import Dataset, Model


class DemoFailed(RuntimeError):
    """The demo cannot go on; the message says why."""


@dataclass
class Outcome:
    """Filled while the demo runs, by several threads. `timings`: seconds since the start."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    models: tuple[Model, ...] = ()
    listed: frozenset[str] = frozenset()
    pictures: dict[str, dict[str, bytes]] = field(default_factory=dict)
    downloaded: tuple[Path, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def seconds(self) -> float:
        return time.monotonic() - self._started

    def mark(self, name: str) -> None:
        """Notes when something happened, once."""
        with self._lock:
            self.timings.setdefault(name, round(self.seconds(), 1))
