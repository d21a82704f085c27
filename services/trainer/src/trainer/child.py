"""What the engine and the verification have in common as child processes of a worker.

A child imports what it needs, says `ready` and waits for one line on standard input: the work folder. So a
worker can start it early, and seconds of imports do not add to a contributor's waiting time.
"""

import ctypes
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from trainer.work import Failed, Message, Ready

_PR_SET_PDEATHSIG = 1
Emit = Callable[[Message], None]

CRASHED = "crashed"
OUT_OF_MEMORY = "out-of-memory"
DEVICE_FAILED = "device-failed"
_DISK_FULL = "disk-full"
_ERRNOS = {_DISK_FULL: (errno.ENOSPC, errno.EDQUOT), OUT_OF_MEMORY: (errno.ENOMEM,)}
# What libraries say, in lower case. Many wrap what the system told them, so that its number is lost.
_CAUSES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        OUT_OF_MEMORY,
        # The last: cuBLAS, cuDNN and cuSOLVER, when the GPU's memory is full.
        ("memoryerror", "out of memory", "can't allocate memory", "cannot allocate memory", "_status_alloc_failed"),
        "training needs more memory than this worker has ({text}); a larger worker may manage",
    ),
    (
        _DISK_FULL,
        # The last two: torch, when a checkpoint was cut short.
        ("no space left on device", "disk quota exceeded", "file write failed", "unexpected pos"),
        "the disk of this worker is full ({text}); free some space or lower POTLUCK_TRAINER_CACHE_BYTES",
    ),
    (
        # The GPU is sound: on a CPU the same is an IndexError.
        CRASHED,
        ("device-side assert",),
        "an index or a number was out of range on the GPU, by a fault of the program or of the data ({text})",
    ),
    (
        DEVICE_FAILED,
        (
            *("cuda error", "cuda driver error", "cuda runtime error", "cuda unknown error", "nvrtc error"),
            *("cudnn error", "cublas error", "cusolver error", "cusparse error", "cufft error", "nccl error"),
            *("hip error", "no cuda gpus are available", "nvidia driver on your system", "cudagetdevicecount"),
        ),
        "the GPU of this worker does not work as it should ({text}); another worker may manage",
    ),
)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the worker `parent` is gone, however it went. Linux only."""
    kill_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def kill_with_parent() -> None:
    """The same for whatever the parent is now; a program that this process becomes keeps it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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


def explained(error: BaseException, who: str = "the training program ended with") -> Failed:
    """The rule that stands for an error, in words that reach the contributor's page."""
    if isinstance(error, AttemptFailed):
        return Failed(rule=error.rule, reason=str(error), retryable=error.retryable)
    text = f"{type(error).__name__}: {error}"
    for rule, signs, reason in _CAUSES:
        if any(sign in text.lower() for sign in signs) or _errno(error) in _ERRNOS.get(rule, ()):
            return Failed(rule=rule, reason=reason.format(text=text), retryable=True)
    return Failed(rule=CRASHED, reason=f"{who} {text}", retryable=True)


def _errno(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


class AttemptFailed(Exception):
    """A foreseen reason for which an attempt cannot go on."""

    def __init__(self, rule: str, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.rule = rule
        self.retryable = retryable
