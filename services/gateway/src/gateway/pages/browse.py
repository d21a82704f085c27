"""Pages that everybody may read: home, a dataset, the queue."""

from uuid import UUID

from contracts.artifacts import GrowthPolicyInForce
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.identity import reader, signed_in
from gateway.pages.curve import drawing
from gateway.pages.kept import kept_for_strangers
from gateway.pages.progress import steps
from gateway.pages.site import page, site
from gateway.problems import Problem, not_found
from gateway.search import Criteria
from gateway.service import Gateway

LATEST_ON_HOME = 4
RECEIPTS_SHOWN = 5


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
        latest=latest.datasets[:LATEST_ON_HOME],
    )


async def dataset(request: Request) -> Response:
    person = await reader(request)
    try:
        dataset_id = UUID(request.path_params["dataset_id"])
    except ValueError:
        raise not_found("dataset") from None
    gateway = gateway_of(request)
    view = await gateway.datasets.get(person, dataset_id)
    receipts = await gateway.receipts.of(person, dataset_id)
    return site().render(
        request,
        "dataset.html",
        person,
        dataset=view,
        steps=steps(view),
        drawing=drawing(view),
        receipts=receipts[:RECEIPTS_SHOWN],
    )


async def rerun(request: Request) -> Response:
    """The owner's "Run again": the page that comes back shows it running."""
    person = await signed_in(request)
    try:
        dataset_id = UUID(request.path_params["dataset_id"])
    except ValueError:
        raise not_found("dataset") from None
    await gateway_of(request).reruns.ask(person, dataset_id)
    return RedirectResponse(f"/datasets/{dataset_id}#h-reruns", 303)


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
        Route("/datasets/{dataset_id}", page(kept_for_strangers(dataset))),
        Route("/datasets/{dataset_id}/metric/reruns", page(rerun), methods=["POST"]),
        Route("/queue", page(queue)),
    ]
