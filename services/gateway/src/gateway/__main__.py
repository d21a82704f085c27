"""`python -m gateway`: settings from the environment, run until SIGTERM."""

from contextlib import AbstractAsyncContextManager

from kit.service import Foundation, run

from gateway import app, pages
from gateway.settings import GatewaySettings


def build(settings: GatewaySettings, base: Foundation[GatewaySettings]) -> AbstractAsyncContextManager[None]:
    return app.build(settings, base, pages.routes(), pages.problem_page)


if __name__ == "__main__":
    run("gateway", GatewaySettings(), build)
