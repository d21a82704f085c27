"""`python -m trainer`."""

from kit.service import run

from trainer.app import build
from trainer.settings import TrainerSettings

if __name__ == "__main__":
    run("trainer", TrainerSettings(), build)
