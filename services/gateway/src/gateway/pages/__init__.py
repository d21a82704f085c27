"""The site: server-rendered pages that work before any script arrives."""

from starlette.routing import BaseRoute, Mount

from gateway.pages import account, api_docs, browse, catalogue, dataset, operator, sign_in, upload, versions, webhooks
from gateway.pages.assets import STATIC, StaticAssets
from gateway.pages.site import problem_page

__all__ = ["problem_page", "routes"]


def routes() -> list[BaseRoute]:
    """Every page, and the files under /static."""
    return [
        *browse.routes(),
        *catalogue.routes(),
        *versions.routes(),
        *api_docs.routes(),
        *operator.routes(),
        *sign_in.routes(),
        *dataset.routes(),
        *account.routes(),
        *webhooks.routes(),
        *upload.routes(),
        Mount("/static", StaticAssets(directory=STATIC)),
    ]
