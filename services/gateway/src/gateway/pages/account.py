"""Forms that work without scripts: sign up, sign in, sign out, API tokens, the theme."""

from functools import partial
from uuid import UUID

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.accounts import PASSWORD_LENGTH
from gateway.domain import Person
from gateway.identity import clear_session, client_address, reader, session_secret, set_session, signed_in
from gateway.pages.browse import gateway_of
from gateway.pages.site import THEMES, YEAR_SECONDS, page, safe_next, site
from gateway.problems import Problem, not_found
from gateway.views import NewTokenView


async def sign_up_form(request: Request) -> Response:
    return await _form(request, "sign_up.html", request.query_params.get("next"))


async def sign_up(request: Request) -> Response:
    """Makes the account and signs in with it."""
    form = await request.form()
    accounts = gateway_of(request).accounts
    try:
        await accounts.sign_up(form.get("email"), form.get("name"), form.get("password"))
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
    _person, secret = await accounts.sign_in(form.get("email"), form.get("password"), client_address(request))
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
        problem=_of_the_form(request, problem, errors),
        password_length=PASSWORD_LENGTH.start,
    )


def field_errors(request: Request, problem: Problem | None) -> dict[str, str | None]:
    """What stands at each field."""
    if problem is None:
        return {}
    translate = partial(site().gettext, request)
    if problem.errors:
        return {one.field: f"{translate(one.detail)} {translate(one.remedy)}" for one in problem.errors}
    if problem.field is None:
        return {}
    return {problem.field: " ".join(translate(text) for text in (problem.detail, problem.remedy) if text)}


def _of_the_form(request: Request, problem: Problem | None, errors: dict[str, str | None]) -> dict[str, str] | None:
    """What stands above the form: problems that belong to no field."""
    if problem is None or errors:
        return None
    translate = partial(site().gettext, request)
    return {"detail": translate(problem.detail), "remedy": translate(problem.remedy or "")}


async def sign_out(request: Request) -> Response:
    secret = session_secret(request)
    if secret:
        await gateway_of(request).accounts.sign_out(secret)
    response = RedirectResponse("/", 303)
    clear_session(request, response)
    return response


async def account(request: Request) -> Response:
    return await _account(request, await signed_in(request))


async def _account(
    request: Request, person: Person, new_token: NewTokenView | None = None, problem: Problem | None = None
) -> Response:
    errors = field_errors(request, problem)
    return site().render(
        request,
        "account.html",
        person,
        status=problem.status if problem else 200,
        tokens=await gateway_of(request).accounts.tokens(person),
        new_token=new_token,
        errors={"name": errors.get("name")},
        problem=_of_the_form(request, problem, errors),
    )


async def create_token(request: Request) -> Response:
    """Shows the token once, in the answer itself: it is stored nowhere."""
    person = await signed_in(request)
    form = await request.form()
    try:
        token = await gateway_of(request).accounts.add_token(person, form.get("name"))
    except Problem as problem:
        return await _account(request, person, problem=problem)
    return await _account(request, person, new_token=token)


async def revoke_token(request: Request) -> Response:
    person = await signed_in(request)
    try:
        token_id = UUID(request.path_params["token_id"])
    except ValueError:
        raise not_found("token") from None
    await gateway_of(request).accounts.revoke_token(person, token_id)
    return RedirectResponse("/account#tokens", 303)


async def set_theme(request: Request) -> Response:
    form = await request.form()
    theme = form.get("theme")
    response = RedirectResponse(safe_next(form.get("next")), 303)
    if isinstance(theme, str) and theme in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR_SECONDS, samesite="lax", path="/", httponly=True)
    return response


def routes() -> list[BaseRoute]:
    return [
        Route("/sign-up", page(sign_up_form), methods=["GET"]),
        Route("/sign-up", page(sign_up), methods=["POST"]),
        Route("/sign-in", page(sign_in_form), methods=["GET"]),
        Route("/sign-in", page(sign_in), methods=["POST"]),
        Route("/sign-out", page(sign_out), methods=["POST"]),
        Route("/account", page(account)),
        Route("/account/tokens", page(create_token), methods=["POST"]),
        Route("/account/tokens/{token_id}/revoke", page(revoke_token), methods=["POST"]),
        Route("/theme", page(set_theme), methods=["POST"]),
    ]
