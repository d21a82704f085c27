"""`python -m registry`."""

from kit.service import run

from registry.app import build
from registry.settings import RegistrySettings

if __name__ == "__main__":
    run("registry", RegistrySettings(), build)
