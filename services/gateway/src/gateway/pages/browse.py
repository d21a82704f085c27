"""Pages that everybody may read: home, the queue."""

from contracts.artifacts import GrowthPolicyInForce
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.pages.site import page, site
from gateway.people.identity import reader
from gateway.problems import Problem
from gateway.search.search import Criteria
from gateway.service import Gateway

LATEST_ON_HOME = 4


def gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def page_number(request: Request) -> int:
    """`?page=`; what is no number is the first page's business to refuse."""
    text = request.query_params.get("page", "1")
    return int(text) if text.isdecimal() and len(text) < 8 else 0


async def home(request: Request) -> Response:
    gateway, person = gateway_of(request), await reader(request)
    model = await gateway.models.newest()
    latest = await gateway.catalogue.page(person, Criteria())
    return site().render(
        request,
        "home.html",
        person,
        model=model,
        coverage=await gateway.coverage.of(model.version) if model else None,
        queue=await gateway.datasets.queue(person),
        # An archive that nothing was read of is no news; its contributor finds it in My Uploads.
        latest=[one for one in latest.datasets if one.state != "rejected"][:LATEST_ON_HOME],
    )


async def growth_policy(gateway: Gateway) -> GrowthPolicyInForce | None:
    """None where the registry has not told it yet: pages do without."""
    try:
        return await gateway.receipts.growth_policy()
    except Problem:
        return None


async def queue(request: Request) -> Response:
    person = await reader(request)
    return site().render(request, "queue.html", person, queue=await gateway_of(request).datasets.queue(person))


def routes() -> list[BaseRoute]:
    return [
        Route("/", page(home)),
        Route("/queue", page(queue)),
    ]
