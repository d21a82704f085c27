"""`python -m trainer` is a worker; with a command it does that and ends."""

import sys

from kit.service import run
from kit.settings import told

from trainer.app import build
from trainer.command import main
from trainer.settings import TrainerSettings

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    run("trainer", told(TrainerSettings), build)
