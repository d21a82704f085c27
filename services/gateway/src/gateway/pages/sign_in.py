"""Ways in and out, as forms that work without scripts: sign up, sign in, providers, a forgotten password."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.forms.account_fields import PASSWORD_LENGTH
from gateway.pages.browse import gateway_of
from gateway.pages.forms import field_errors, of_the_form
from gateway.pages.languages import language_of
from gateway.pages.site import page, safe_next, site
from gateway.people.identities import FLOW_SECONDS, Arrived
from gateway.people.identity import (
    clear_flow,
    clear_session,
    client_address,
    device_of,
    flow_secret,
    reader,
    session_secret,
    set_flow,
    set_session,
)
from gateway.problems import Problem


async def sign_up_form(request: Request) -> Response:
    return await _form(request, "sign_up.html", request.query_params.get("next"))


async def sign_up(request: Request) -> Response:
    """Makes the account and signs in with it."""
    form = await request.form()
    accounts = gateway_of(request).accounts
    try:
        await accounts.sign_up(
            form.get("email"), form.get("name"), form.get("password"), client_address(request), language_of(request)
        )
        return await _signed_in(request, form)
    except Problem as problem:
        return await _form(request, "sign_up.html", form.get("next"), form, problem)


async def sign_in_form(request: Request) -> Response:
    return await _form(request, "sign_in.html", request.query_params.get("next"))


async def sign_in(request: Request) -> Response:
    form = await request.form()
    try:
        return await _signed_in(request, form)
    except Problem as problem:
        return await _form(request, "sign_in.html", form.get("next"), form, problem)


async def _signed_in(request: Request, form: FormData) -> Response:
    accounts = gateway_of(request).accounts
    _person, secret = await accounts.sign_in(
        form.get("email"), form.get("password"), client_address(request), device_of(request)
    )
    response = RedirectResponse(safe_next(form.get("next")), 303)
    set_session(request, response, secret)
    return response


async def _form(
    request: Request, template: str, target: object, form: FormData | None = None, problem: Problem | None = None
) -> Response:
    """The form, with what was typed (never the password) and what is wrong with it."""
    values = {name: str(form.get(name, "")) if form else "" for name in ("email", "name")}
    errors = field_errors(request, problem)
    return site().render(
        request,
        template,
        None if problem else await reader(request),
        status=problem.status if problem else 200,
        next=safe_next(target),
        values=values,
        errors=errors | {name: errors.get(name) for name in ("email", "name", "password")},
        problem=of_the_form(request, problem, errors),
        password_length=PASSWORD_LENGTH.start,
        providers=gateway_of(request).identities.providers,
    )


async def sign_out(request: Request) -> Response:
    secret = session_secret(request)
    if secret:
        await gateway_of(request).accounts.sign_out(secret)
    response = RedirectResponse("/", 303)
    clear_session(request, response)
    return response


async def with_provider(request: Request) -> Response:
    """Off to another site. A link and no form: a form may not lead to other sites here."""
    person = await reader(request)
    target = safe_next(request.query_params.get("next"))
    started = await gateway_of(request).identities.start(request.path_params["provider"], person, target)
    response = RedirectResponse(started.url, 303)
    set_flow(request, response, started.secret, FLOW_SECONDS)
    return response


async def back_from_provider(request: Request) -> Response:
    arrived = await gateway_of(request).identities.arrive(
        request.path_params["provider"], flow_secret(request), dict(request.query_params), device_of(request)
    )
    response = _arrived(request, arrived)
    if arrived.next != "/sign-up/finish":
        clear_flow(request, response)
    return response


async def finish_form(request: Request) -> Response:
    return await _finish(request)


async def finish(request: Request) -> Response:
    form = await request.form()
    try:
        arrived = await gateway_of(request).identities.finish(
            flow_secret(request), form.get("name"), form.get("email"), device_of(request), language_of(request)
        )
    except Problem as problem:
        return await _finish(request, form, problem)
    response = _arrived(request, arrived)
    clear_flow(request, response)
    return response


def _arrived(request: Request, arrived: Arrived) -> Response:
    response = RedirectResponse(arrived.next, 303)
    if arrived.session is not None:
        set_session(request, response, arrived.session)
    return response


async def _finish(request: Request, form: FormData | None = None, problem: Problem | None = None) -> Response:
    identities = gateway_of(request).identities
    vouched = await identities.pending(flow_secret(request))
    titles = {provider.id: provider.title for provider in identities.providers}
    errors = field_errors(request, problem)
    return site().render(
        request,
        "sign_up_finish.html",
        None,
        status=problem.status if problem else 200,
        provider=titles.get(vouched.provider, vouched.provider),
        values={
            "name": str(form.get("name", "")) if form else vouched.name,
            "email": str(form.get("email", "")) if form else vouched.email,
        },
        errors={name: errors.get(name) for name in ("email", "name")},
        problem=of_the_form(request, problem, errors),
    )


async def forgotten_form(request: Request) -> Response:
    return await _forgotten(request)


async def forgotten(request: Request) -> Response:
    form = await request.form()
    try:
        sent = await gateway_of(request).resets.ask(form.get("email"), client_address(request))
    except Problem as problem:
        return await _forgotten(request, problem=problem, email=str(form.get("email", "")))
    return await _forgotten(request, sent=sent)


async def _forgotten(
    request: Request, *, sent: bool = False, problem: Problem | None = None, email: str = ""
) -> Response:
    errors = field_errors(request, problem)
    return site().render(
        request,
        "forgotten.html",
        None if problem else await reader(request),
        status=problem.status if problem else 200,
        sent=sent,
        sends_mail=gateway_of(request).settings.sends_mail,
        values={"email": email},
        errors={"email": errors.get("email")},
        problem=of_the_form(request, problem, errors),
    )


async def reset_form(request: Request) -> Response:
    await gateway_of(request).resets.check(request.path_params["secret"])
    return await _reset(request)


async def reset(request: Request) -> Response:
    """Sets the password; the person signs in with it."""
    form = await request.form()
    try:
        await gateway_of(request).resets.finish(request.path_params["secret"], form.get("password"))
    except Problem as problem:
        if problem.status == 404:
            raise
        return await _reset(request, problem)
    response = RedirectResponse("/sign-in", 303)
    clear_session(request, response)
    return response


async def _reset(request: Request, problem: Problem | None = None) -> Response:
    errors = field_errors(request, problem)
    response = site().render(
        request,
        "reset.html",
        None,
        status=problem.status if problem else 200,
        errors={"password": errors.get("password")},
        problem=of_the_form(request, problem, errors),
        password_length=PASSWORD_LENGTH.start,
    )
    # The address is the secret: it goes nowhere from here.
    response.headers["referrer-policy"] = "no-referrer"
    return response


def routes() -> list[BaseRoute]:
    return [
        Route("/sign-up", page(sign_up_form), methods=["GET"]),
        Route("/sign-up", page(sign_up), methods=["POST"]),
        Route("/sign-up/finish", page(finish_form), methods=["GET"]),
        Route("/sign-up/finish", page(finish), methods=["POST"]),
        Route("/sign-in", page(sign_in_form), methods=["GET"]),
        Route("/sign-in", page(sign_in), methods=["POST"]),
        Route("/sign-in/with/{provider}", page(with_provider), methods=["GET"]),
        Route("/sign-in/with/{provider}/back", page(back_from_provider), methods=["GET"]),
        Route("/sign-out", page(sign_out), methods=["POST"]),
        Route("/forgotten", page(forgotten_form), methods=["GET"]),
        Route("/forgotten", page(forgotten), methods=["POST"]),
        Route("/reset/{secret}", page(reset_form), methods=["GET"]),
        Route("/reset/{secret}", page(reset), methods=["POST"]),
    ]
