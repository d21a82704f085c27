"""`python -m trainer.engine <parent pid>`: waits for a work folder, trains, writes JSON lines.

With `--folder` it begins at once, as one of several processes that torchrun started or as a job of a cluster.
Exit codes: 0 done or stopped on SIGTERM, 1 failed (an `error` message says why).
"""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from trainer.child import (
    AttemptFailed,
    Emit,
    claim_stdout,
    die_with_parent,
    emitter,
    explained,
    folder_from_stdin,
    kill_with_parent,
)
from trainer.control import Control
from trainer.peers import failure_of_another, first_voice, silent_voice

_PATIENCE_SECONDS = 3.0


def main() -> int:
    given = _arguments()
    if given.parent is None:
        kill_with_parent()
    else:
        die_with_parent(given.parent)
    stop_requested: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop_requested.append(number))
    # An interrupt from the terminal is the worker's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    emit = emitter(claim_stdout())
    folder: Path | None = given.folder
    rank = int(os.environ.get("RANK", "0"))
    if folder is not None:
        emit = first_voice(emit, folder) if rank == 0 else silent_voice(folder, rank)
    try:
        # Seconds of imports, before the work is known.
        from trainer.engine.attempt import Attempt
        from trainer.engine.ranks import joined

        if folder is None and (folder := folder_from_stdin(emit)) is None:
            return 0
        control = Control(folder / given.control) if given.control else None
        Attempt(folder, emit, _stop(stop_requested, control), joined()).run()
    except Exception as error:  # whatever it is, the worker must hear of it
        traceback.print_exc()
        _tell(error, emit, folder, rank)
        # Others may be gone, and leaving in good order would wait for them.
        sys.stderr.flush()
        os._exit(1)
    return 0


def _stop(requested: list[int], control: Control | None) -> Callable[[], bool]:
    return lambda: bool(requested) or (control is not None and control.says_stop())


def _tell(error: Exception, emit: Emit, folder: Path | None, rank: int) -> None:
    """That the connection to another process broke is no reason: what befell that one is."""
    if rank == 0 and folder is not None and not isinstance(error, AttemptFailed):
        other = failure_of_another(folder, _PATIENCE_SECONDS)
        if other is not None:
            return emit(other)
    return emit(explained(error))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("parent", type=int, nargs="?", help="process that this one must not outlive")
    parser.add_argument("--folder", type=lambda text: Path(text).absolute(), help="the attempt's folder")
    parser.add_argument("--control", help="file of that folder in which a distant worker says to go on, or to stop")
    given = parser.parse_args()
    if (given.parent is None) == (given.folder is None):
        parser.error("either the parent's process id or --folder")
    return given


if __name__ == "__main__":
    sys.exit(main())
