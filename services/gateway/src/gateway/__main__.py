"""`python -m gateway`: settings from the environment, run until SIGTERM. With a command: see command.py."""

import sys
from contextlib import AbstractAsyncContextManager

from kit.service import Foundation, run

from gateway import app, command, pages
from gateway.settings import GatewaySettings


def build(settings: GatewaySettings, base: Foundation[GatewaySettings]) -> AbstractAsyncContextManager[None]:
    return app.build(settings, base, pages.routes(), pages.problem_page)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(command.main(sys.argv[1:], GatewaySettings().database_dsn))
    run("gateway", GatewaySettings(), build)
