"""What processes that train together leave in the attempt's folder, so that one voice tells what befell any of them."""

import time
from pathlib import Path

from trainer.child import Emit
from trainer.work import Done, Failed, Message, Stopped

SAID = Path(".said")
"""The first process told how it ended."""
_FAILURES = "failed-*.json"


def first_voice(emit: Emit, folder: Path) -> Emit:
    """Of the process that speaks for all."""

    def tell(message: Message) -> None:
        emit(message)
        if isinstance(message, Done | Stopped | Failed):
            (folder / SAID).touch()

    return tell


def silent_voice(folder: Path, rank: int) -> Emit:
    """Of the others: only their failures count, and wait in a file."""

    def tell(message: Message) -> None:
        if isinstance(message, Failed):
            partial = folder / f"failed-{rank}.partial"
            partial.write_text(message.model_dump_json())
            partial.replace(folder / f"failed-{rank}.json")

    return tell


def failure_of_another(folder: Path, patience_seconds: float = 0) -> Failed | None:
    """Why another process gave up. A broken connection is noticed before its reason is written: wait a little."""
    end = time.monotonic() + patience_seconds
    while True:
        for path in sorted(folder.glob(_FAILURES)):
            return Failed.model_validate_json(path.read_text())
        if time.monotonic() >= end:
            return None
        time.sleep(0.1)
