"""Ending work that another thread does: what runs asks here between pieces, and whoever waits for it says stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

_STOP: ContextVar[Event | None] = ContextVar("potluck-stop", default=None)


class Stopped(BaseException):
    """Nobody waits for the result any more. Not an Exception: nothing may take it for an error to try again after."""


@contextmanager
def stoppable(stop: Event) -> Iterator[None]:
    """Work in this context ends soon after `stop` is set."""
    before = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(before)


def check() -> None:
    """Raises Stopped when somebody asked for it."""
    stop = _STOP.get()
    if stop is not None and stop.is_set():
        raise Stopped


def watched(lines: Iterator[str]) -> Iterator[str]:
    """The same lines; raises Stopped between two of them."""
    for line in lines:
        check()
        yield line
