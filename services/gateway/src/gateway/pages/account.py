"""The account's page, as forms that work without scripts: profile, password, sessions, tokens; and the theme."""

from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.domain import Person
from gateway.forms.account_fields import PASSWORD_LENGTH, SCOPES
from gateway.pages.browse import gateway_of
from gateway.pages.forms import field_errors, of_the_form
from gateway.pages.languages import language_of
from gateway.pages.site import THEMES, YEAR_SECONDS, page, safe_next, site
from gateway.people.identity import client_address, session_secret, signed_in
from gateway.problems import Problem, not_found
from gateway.views.people import NewTokenView

FIELDS = {
    "profile": ("name",),
    "password": ("password", "new_password"),
    "tokens": ("name", "scopes", "expires_days"),
}


async def account(request: Request) -> Response:
    return await _account(request, await signed_in(request))


async def _account(
    request: Request,
    person: Person,
    form: str = "",
    problem: Problem | None = None,
    new_token: NewTokenView | None = None,
) -> Response:
    """`form`: the part of the page that the problem belongs to."""
    gateway = gateway_of(request)
    errors = field_errors(request, problem)
    at_field = any(errors)
    return site().render(
        request,
        "account.html",
        person,
        status=problem.status if problem else 200,
        tokens=await gateway.tokens.all(person),
        sessions=await gateway.accounts.sessions(person, session_secret(request)),
        storage=await gateway.uploads.quotas.of(person),
        identities=await gateway.identities.of(person),
        providers=gateway.identities.providers,
        sends_mail=gateway.settings.sends_mail,
        new_token=new_token,
        scopes=SCOPES,
        saved=request.query_params.get("saved"),
        errors={
            name: {field: errors.get(field) if name == form else None for field in fields}
            for name, fields in FIELDS.items()
        },
        problem=None if at_field else of_the_form(request, problem, errors),
        password_length=PASSWORD_LENGTH.start,
    )


async def set_profile(request: Request) -> Response:
    person, form = await signed_in(request), await request.form()
    try:
        await gateway_of(request).accounts.set_profile(
            person, form.get("name"), form.get("mail_when_done") == "on", language_of(request)
        )
    except Problem as problem:
        return await _account(request, person, "profile", problem)
    return RedirectResponse("/account?saved=profile", 303)


async def change_password(request: Request) -> Response:
    person, form = await signed_in(request), await request.form()
    try:
        await gateway_of(request).accounts.change_password(
            person, form.get("password"), form.get("new_password"), client_address(request), session_secret(request)
        )
    except Problem as problem:
        return await _account(request, person, "password", problem)
    return RedirectResponse("/account?saved=password", 303)


async def create_token(request: Request) -> Response:
    """Shows the token once, in the answer itself: it is stored nowhere."""
    person, form = await signed_in(request), await request.form()
    fields = {"name": form.get("name"), "scopes": form.getlist("scopes"), "expires_days": form.get("expires_days")}
    try:
        token = await gateway_of(request).tokens.add(person, fields)
    except Problem as problem:
        return await _account(request, person, "tokens", problem)
    return await _account(request, person, new_token=token)


async def revoke_token(request: Request) -> Response:
    person = await signed_in(request)
    await gateway_of(request).tokens.revoke(person, _id(request, "token"))
    return RedirectResponse("/account#tokens", 303)


async def end_session(request: Request) -> Response:
    person = await signed_in(request)
    await gateway_of(request).accounts.end_session(person, _id(request, "session"))
    return RedirectResponse("/account#sessions", 303)


async def end_other_sessions(request: Request) -> Response:
    person = await signed_in(request)
    await gateway_of(request).accounts.end_other_sessions(person, session_secret(request))
    return RedirectResponse("/account#sessions", 303)


async def disconnect(request: Request) -> Response:
    person, form = await signed_in(request), await request.form()
    try:
        await gateway_of(request).identities.disconnect(
            person, str(form.get("provider", "")), str(form.get("subject", ""))
        )
    except Problem as problem:
        return await _account(request, person, "sign-in", problem)
    return RedirectResponse("/account#sign-in", 303)


def _id(request: Request, what: str) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise not_found(what) from None


async def set_theme(request: Request) -> Response:
    form = await request.form()
    theme = form.get("theme")
    response = RedirectResponse(safe_next(form.get("next")), 303)
    if isinstance(theme, str) and theme in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR_SECONDS, samesite="lax", path="/", httponly=True)
    return response


def routes() -> list[BaseRoute]:
    post = partial(Route, methods=["POST"])
    return [
        Route("/account", page(account)),
        post("/account/profile", page(set_profile)),
        post("/account/password", page(change_password)),
        post("/account/tokens", page(create_token)),
        post("/account/tokens/{id}/revoke", page(revoke_token)),
        post("/account/sessions/{id}/end", page(end_session)),
        post("/account/sessions/others/end", page(end_other_sessions)),
        post("/account/identities/disconnect", page(disconnect)),
        post("/theme", page(set_theme)),
    ]
