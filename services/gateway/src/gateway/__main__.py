"""`python -m gateway`: settings from the environment, run until SIGTERM."""

from kit.service import run

from gateway.app import build
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    run("gateway", GatewaySettings(), build)
