"""Pages of operators: what is stuck, what grows, who is here, who did what. Every button is a form."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.operators.operators import ENTRIES, Operators
from gateway.pages.site import page, site
from gateway.people.identity import reader
from gateway.problems import not_found


def operators_of(request: Request) -> Operators:
    operators: Operators = request.app.state.gateway.operators
    return operators


async def overview(request: Request) -> Response:
    person = await reader(request)
    seen = await operators_of(request).overview(person)
    trouble = seen.trouble
    words = [site().said(request, one) for one in (trouble.detail, trouble.remedy) if one] if trouble else []
    return site().render(request, "operator.html", person, seen=seen, trouble=words)


async def people(request: Request) -> Response:
    person, sought = await reader(request), request.query_params.get("q", "")
    found = await operators_of(request).people(person, sought)
    return site().render(request, "operator_people.html", person, people=found, sought_person=sought)


async def audit_log(request: Request) -> Response:
    person, before = await reader(request), request.query_params.get("before", "")
    number = int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None
    entries = await operators_of(request).audit_log(person, number)
    older = entries[-1]["entry_id"] if len(entries) == ENTRIES else None
    return site().render(request, "operator_log.html", person, entries=entries, older=older)


async def requeue(request: Request) -> Response:
    await operators_of(request).requeue(await reader(request), request.path_params["letter_id"])
    return RedirectResponse("/operator", 303)


async def drop(request: Request) -> Response:
    form = await request.form()
    await operators_of(request).drop(await reader(request), request.path_params["letter_id"], form.get("reason"))
    return RedirectResponse("/operator", 303)


async def steer(request: Request) -> Response:
    """Pause, resume, cancel the open round, look for what made one fail, or let a name point elsewhere."""
    operators, person, form = operators_of(request), await reader(request), await request.form()
    match request.path_params["act"]:
        case "pause":
            await operators.pause(person, form.get("reason"))
        case "resume":
            await operators.resume(person)
        case "cancel":
            await operators.cancel(person, form.get("round_id"), form.get("reason"), form.get("pause") == "1")
        case "bisect":
            await operators.bisect(person, form.get("round_id"), form.get("reason"))
        case "stop-inquiry":
            await operators.stop_inquiry(person, form.get("reason"))
        case "move-alias":
            await operators.move_alias(person, form.get("alias"), form.get("version"), form.get("reason"))
        case "roll-back-alias":
            await operators.roll_back_alias(person, form.get("alias"), form.get("reason"))
        case _:
            raise not_found("page")
    return RedirectResponse("/operator#growth", 303)


async def withdraw(request: Request) -> Response:
    form = await request.form()
    await operators_of(request).withdraw(await reader(request), form.get("dataset"), form.get("reason"))
    return RedirectResponse("/operator/log", 303)


async def suspend(request: Request) -> Response:
    form = await request.form()
    try:
        person_id = UUID(request.path_params["person_id"])
    except ValueError:
        raise not_found("account") from None
    suspended = request.path_params["act"] == "suspend"
    await operators_of(request).suspend(await reader(request), person_id, form.get("reason"), suspended)
    return RedirectResponse("/operator/people", 303)


def routes() -> list[BaseRoute]:
    return [
        Route("/operator", page(overview)),
        Route("/operator/people", page(people)),
        Route("/operator/log", page(audit_log)),
        Route("/operator/dead-letters/{letter_id:int}/requeue", page(requeue), methods=["POST"]),
        Route("/operator/dead-letters/{letter_id:int}/drop", page(drop), methods=["POST"]),
        Route("/operator/growth/{act}", page(steer), methods=["POST"]),
        Route("/operator/datasets/withdraw", page(withdraw), methods=["POST"]),
        Route("/operator/people/{person_id}/{act}", page(suspend), methods=["POST"]),
    ]
