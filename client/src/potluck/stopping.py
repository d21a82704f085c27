"""Ending work that another thread does: what runs asks here between pieces, and whoever waits for it says stop."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Event, Thread

GRACE_SECONDS = 2.0
LOOK_SECONDS = 0.2

_STOPS: ContextVar[tuple[Event, ...]] = ContextVar("potluck-stops", default=())


class Stopped(BaseException):
    """Nobody waits for the result any more. Not an Exception: nothing may take it for an error to try again after."""


@contextmanager
def stoppable(stop: Event) -> Iterator[None]:
    """Work in this context ends soon after `stop` is set, or what could stop it before."""
    before = _STOPS.set((*_STOPS.get(), stop))
    try:
        yield
    finally:
        _STOPS.reset(before)


def check() -> None:
    """Raises Stopped when somebody asked for it."""
    if any(stop.is_set() for stop in _STOPS.get()):
        raise Stopped


def watched(lines: Iterator[str]) -> Iterator[str]:
    """The same lines; raises Stopped between two of them."""
    for line in lines:
        check()
        yield line


def side_by_side(works: Sequence[Callable[[], None]], at_once: int) -> None:
    """Does all of them in threads. After the first error, or Ctrl-C here, the others stop; then it is raised."""
    stop, waiting, errors = Event(), deque(works), deque[BaseException]()

    def lane() -> None:
        with stoppable(stop):
            try:
                while (work := _next(waiting)) and not stop.is_set():
                    work()
            except Stopped:
                return
            except BaseException as error:
                errors.append(error)
                stop.set()

    # A connection that hangs must not hold the end of the program: daemons.
    lanes = [
        Thread(target=copy_context().run, args=(lane,), daemon=True, name=f"potluck-{number}")
        for number in range(min(at_once, len(works)))
    ]
    for one in lanes:
        one.start()
    try:
        for one in lanes:
            while one.is_alive():
                one.join(LOOK_SECONDS)
                check()
    finally:
        stop.set()
        until = time.monotonic() + GRACE_SECONDS
        for one in lanes:
            one.join(max(0.0, until - time.monotonic()))
    if errors:
        raise errors[0]
    check()


def _next(waiting: "deque[Callable[[], None]]") -> Callable[[], None] | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
