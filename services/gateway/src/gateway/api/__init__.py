"""The REST API, /api/v1."""

from starlette.routing import BaseRoute

from gateway.api import accounts, datasets, files, live, models, search


def routes() -> list[BaseRoute]:
    return [*accounts.routes(), *datasets.routes(), *search.routes(), *models.routes(), *files.routes(), *live.routes()]
