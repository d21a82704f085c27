"""The site: server-rendered pages that work before any script arrives."""

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from gateway.pages import (
    account,
    api_docs,
    browse,
    catalogue,
    dataset,
    device,
    operator,
    pictures,
    sign_in,
    upload,
    versions,
)
from gateway.pages.assets import DOCUMENTATION, STATIC, StaticAssets
from gateway.pages.site import problem_page

__all__ = ["problem_page", "routes"]


def routes() -> list[BaseRoute]:
    """Every page, the files under /static, and the documentation where it was built."""
    return [
        *browse.routes(),
        *catalogue.routes(),
        *versions.routes(),
        *api_docs.routes(),
        *operator.routes(),
        *sign_in.routes(),
        *dataset.routes(),
        *pictures.routes(),
        *account.routes(),
        *device.routes(),
        *upload.routes(),
        Mount("/static", StaticAssets(directory=STATIC)),
        *([Mount("/docs", StaticFiles(directory=DOCUMENTATION, html=True))] if DOCUMENTATION.is_dir() else []),
    ]
