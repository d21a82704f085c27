"""`python -m gateway` serves until SIGTERM; with a command it does what an administrator does about people."""

import sys
from contextlib import AbstractAsyncContextManager

from kit.service import Foundation, run
from kit.settings import told

from gateway import app, command, pages
from gateway.settings import GatewaySettings


def build(settings: GatewaySettings, base: Foundation[GatewaySettings]) -> AbstractAsyncContextManager[None]:
    return app.build(settings, base, pages.routes(), pages.problem_page)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(command.main(sys.argv[1:]))
    run("gateway", told(GatewaySettings), build)
