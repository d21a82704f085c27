"""Webhooks of an account, as forms that work without scripts: where events are sent, and what came of it."""

from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.domain import Person
from gateway.pages.browse import gateway_of
from gateway.pages.forms import field_errors, of_the_form
from gateway.pages.phrases import N_
from gateway.pages.site import page, site
from gateway.people.identity import signed_in
from gateway.problems import Problem, not_found
from gateway.webhooks.rules import TYPES
from gateway.webhooks.webhooks import DELIVERIES, NewWebhookView

ABOUT = {
    "potluck.dataset.published.v1": N_("a public dataset was published"),
    "potluck.model.published.v1": N_("a new model version was published"),
    "potluck.model.withheld.v1": N_("a trained model was not published, and why"),
    "potluck.model.retired.v1": N_("a version is no longer offered"),
    "potluck.model.aliased.v1": N_("a name such as latest points to another version"),
    "potluck.model.rescored.v1": N_("a version was scored on the standard dataset"),
    "potluck.model.marked.v1": N_("datasets that trained a version were withdrawn"),
}
CHOSEN_FIRST = ("potluck.dataset.published.v1", "potluck.model.published.v1")


async def webhooks(request: Request) -> Response:
    return await _webhooks(request, await signed_in(request))


async def _webhooks(
    request: Request, person: Person, problem: Problem | None = None, made: NewWebhookView | None = None
) -> Response:
    form = await request.form() if problem is not None else None
    errors = field_errors(request, problem)
    return site().render(
        request,
        "webhooks.html",
        person,
        status=problem.status if problem else 200,
        webhooks=await gateway_of(request).webhooks.all(person),
        made=made,
        types=TYPES,
        about=ABOUT,
        url=form.get("url") if form else "",
        chosen=form.getlist("types") if form else CHOSEN_FIRST,
        errors={field: errors.get(field) for field in ("url", "types")},
        problem=of_the_form(request, problem, errors),
    )


async def create(request: Request) -> Response:
    """Shows the secret once, in the answer itself."""
    person, form = await signed_in(request), await request.form()
    try:
        made = await gateway_of(request).webhooks.add(
            person, {"url": form.get("url"), "types": [str(one) for one in form.getlist("types")]}
        )
    except Problem as problem:
        return await _webhooks(request, person, problem)
    return await _webhooks(request, person, made=made)


async def remove(request: Request) -> Response:
    await gateway_of(request).webhooks.remove(await signed_in(request), _id(request))
    return RedirectResponse("/account/webhooks", 303)


async def enable(request: Request) -> Response:
    await gateway_of(request).webhooks.enable(await signed_in(request), _id(request))
    return RedirectResponse("/account/webhooks", 303)


async def deliveries(request: Request) -> Response:
    person, webhook_id, before = await signed_in(request), _id(request), request.query_params.get("before", "")
    number = int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None
    webhook = await gateway_of(request).webhooks.one(person, webhook_id)
    found = await gateway_of(request).webhooks.deliveries(person, webhook_id, number)
    return site().render(
        request,
        "webhook_deliveries.html",
        person,
        webhook=webhook,
        deliveries=found,
        older=found[-1].id if len(found) == DELIVERIES else None,
    )


async def replay(request: Request) -> Response:
    person, webhook_id = await signed_in(request), _id(request)
    await gateway_of(request).webhooks.replay(person, webhook_id, request.path_params["delivery_id"])
    return RedirectResponse(f"/account/webhooks/{webhook_id}", 303)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise not_found("webhook") from None


def routes() -> list[BaseRoute]:
    post = partial(Route, methods=["POST"])
    return [
        Route("/account/webhooks", page(webhooks)),
        post("/account/webhooks", page(create)),
        Route("/account/webhooks/{id}", page(deliveries)),
        post("/account/webhooks/{id}/remove", page(remove)),
        post("/account/webhooks/{id}/enable", page(enable)),
        post("/account/webhooks/{id}/deliveries/{delivery_id:int}/replay", page(replay)),
    ]
