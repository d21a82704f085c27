"""`python -m registry` runs the service; with a command it speaks to one that runs."""

import sys

from kit.service import run
from kit.settings import told

from registry.app import build
from registry.operators.command import main
from registry.settings import RegistrySettings

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    run("registry", told(RegistrySettings), build)
