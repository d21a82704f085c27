"""`python -m trainer.score <parent pid>`: waits for a work folder, scores the model in it, writes one message."""

import os
import sys
import traceback

from trainer.child import claim_stdout, die_with_parent, emitter, explained, folder_from_stdin


def main() -> int:
    die_with_parent(int(sys.argv[1]))
    emit = emitter(claim_stdout())
    try:
        # Seconds of imports, before the files are there.
        from trainer.score.scoring import score

        folder = folder_from_stdin(emit)
        if folder is None:
            return 0
        os.chdir(folder)
        emit(score())
    except Exception as error:  # whatever it is, the worker must hear of it
        traceback.print_exc()
        emit(explained(error, "the scoring program ended with"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
