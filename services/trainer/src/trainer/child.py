"""What the engine and the verification have in common as child processes of a worker.

A child imports what it needs, says `ready` and waits for one line on standard input: the work folder. So a
worker can start it early, and seconds of imports do not add to a contributor's waiting time.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from trainer.work import Failed, Message, Ready

_PR_SET_PDEATHSIG = 1
Emit = Callable[[Message], None]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the worker `parent` is gone, however it went. Linux only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def claim_stdout() -> TextIO:
    """The messages' own stream; whatever else prints goes to standard error from here on."""
    messages = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return messages


def emitter(stream: TextIO) -> Emit:
    """Writes one JSON line a message, at once."""

    def emit(message: Message) -> None:
        stream.write(message.model_dump_json() + "\n")
        stream.flush()

    return emit


def folder_from_stdin(emit: Emit) -> Path | None:
    """Say `ready` and wait for the work folder; none when the worker closed the pipe."""
    emit(Ready())
    line = sys.stdin.readline().strip()
    return Path(line) if line else None


def explained(error: BaseException) -> Failed:
    """The rule that stands for an error, in words that reach the contributor's page."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, AttemptFailed):
        return Failed(rule=error.rule, reason=str(error), retryable=error.retryable)
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        reason = f"training needs more memory than this worker has ({text}); a larger worker may manage"
        return Failed(rule="out-of-memory", reason=reason, retryable=True)
    return Failed(rule="crashed", reason=f"the training program ended with {text}", retryable=True)


class AttemptFailed(Exception):
    """A foreseen reason for which an attempt cannot go on."""

    def __init__(self, rule: str, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.rule = rule
        self.retryable = retryable
