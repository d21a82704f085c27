"""`python -m trainer`."""

from kit.service import run
from kit.settings import told

from trainer.app import build
from trainer.settings import TrainerSettings

if __name__ == "__main__":
    run("trainer", told(TrainerSettings), build)
