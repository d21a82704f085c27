"""The page on which a person lets a program in: the code, what it asks for, yes or no. Works without scripts."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.domain import Person
from gateway.pages.browse import gateway_of
from gateway.pages.forms import field_errors, of_the_form
from gateway.pages.site import page, site
from gateway.people.identity import client_address, signed_in
from gateway.people.programs import Waiting
from gateway.problems import Problem

DAYS = ("7", "30", "90", "365", "")


async def device(request: Request) -> Response:
    """Without a code a field for it; with one what the program asks for. Looking at it approves nothing."""
    person, typed = await signed_in(request), request.query_params.get("code", "")
    if not typed:
        return _shown(request, person, decided=request.query_params.get("decided"))
    try:
        waiting = await gateway_of(request).programs.find(person, typed)
    except Problem as problem:
        return _shown(request, person, typed, problem=problem)
    return _shown(request, person, typed, waiting)


async def decide(request: Request) -> Response:
    person, form = await signed_in(request), await request.form()
    programs, typed = gateway_of(request).programs, str(form.get("code", ""))
    try:
        if form.get("decision") == "approve":
            scopes = [str(one) for one in form.getlist("scopes")]
            await programs.approve(person, typed, scopes, form.get("expires_days"))
            return RedirectResponse("/device?decided=approved", 303)
        await programs.deny(person, typed)
    except Problem as problem:
        return await _once_more(request, person, typed, problem)
    return RedirectResponse("/device?decided=denied", 303)


async def _once_more(request: Request, person: Person, typed: str, problem: Problem) -> Response:
    """The form with what is wrong; the field for the code when it is the code."""
    if problem.field == "code" or problem.status == 429:
        return _shown(request, person, typed, problem=problem)
    try:
        waiting = await gateway_of(request).programs.find(person, typed)
    except Problem as other:
        return _shown(request, person, typed, problem=other)
    return _shown(request, person, typed, waiting, problem=problem)


def _shown(
    request: Request,
    person: Person,
    typed: str = "",
    waiting: Waiting | None = None,
    *,
    problem: Problem | None = None,
    decided: str | None = None,
) -> Response:
    errors = field_errors(request, problem)
    response = site().render(
        request,
        "device.html",
        person,
        status=problem.status if problem else 200,
        typed=typed[:40],
        waiting=waiting,
        same_place=waiting is not None and waiting.address == client_address(request),
        days=DAYS,
        decided=decided if decided in ("approved", "denied") else None,
        errors={name: errors.get(name) for name in ("code", "scopes", "expires_days")},
        problem=of_the_form(request, problem, errors),
    )
    # The code stands in the address.
    response.headers["referrer-policy"] = "no-referrer"
    response.headers["cache-control"] = "no-store"
    return response


def routes() -> list[BaseRoute]:
    return [
        Route("/device", page(device), methods=["GET"]),
        Route("/device", page(decide), methods=["POST"]),
    ]
