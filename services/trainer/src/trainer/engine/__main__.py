"""`python -m trainer.engine <parent pid>`: waits for a work folder, trains, writes JSON lines.

Exit codes: 0 done or stopped on SIGTERM, 1 failed (an `error` message says why).
"""

import signal
import sys
import traceback

from trainer.child import claim_stdout, die_with_parent, emitter, explained, folder_from_stdin


def main() -> int:
    die_with_parent(int(sys.argv[1]))
    stop_requested: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop_requested.append(number))
    # An interrupt from the terminal is the worker's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    emit = emitter(claim_stdout())
    try:
        # Seconds of imports, before the work is known.
        from trainer.engine.attempt import Attempt

        folder = folder_from_stdin(emit)
        if folder is None:
            return 0
        Attempt(folder, emit, lambda: bool(stop_requested)).run()
    except Exception as error:  # whatever it is, the worker must hear of it
        traceback.print_exc()
        emit(explained(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
