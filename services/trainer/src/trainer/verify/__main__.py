"""`python -m trainer.verify <parent pid>`: waits for a work folder, checks its outcome, writes one message."""

import os
import sys
import traceback

from trainer.child import claim_stdout, die_with_parent, emitter, explained, folder_from_stdin


def main() -> int:
    die_with_parent(int(sys.argv[1]))
    emit = emitter(claim_stdout())
    try:
        # Seconds of imports, before the outcome is there.
        from trainer.verify.checks import verify

        folder = folder_from_stdin(emit)
        if folder is None:
            return 0
        os.chdir(folder)
        emit(verify())
    except Exception as error:  # whatever it is, the worker must hear of it
        traceback.print_exc()
        emit(explained(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
