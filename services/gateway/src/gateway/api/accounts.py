"""/api/v1/accounts, sessions, tokens, sign-ins of programs, identities, me."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.answers import json_response, list_response, read_object, site_url
from gateway.people.accounts import person_view
from gateway.people.identity import (
    accounts_of,
    clear_session,
    client_address,
    device_of,
    session_secret,
    set_session,
    signed_in,
)
from gateway.people.tokens import Tokens
from gateway.problems import Problem
from gateway.repeats import HEADER
from gateway.service import Gateway


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _tokens(request: Request) -> Tokens:
    return _gateway(request).tokens


async def sign_up(request: Request) -> Response:
    """The same request under the same Idempotency-Key gets the account that the first one made."""
    fields = await read_object(request)
    accounts, repeats = accounts_of(request), _gateway(request).repeats
    told = {name: fields.get(name) for name in ("email", "name")}
    try:
        person = await accounts.sign_up(
            fields.get("email"), fields.get("name"), fields.get("password"), client_address(request)
        )
    except Problem as problem:
        if problem.rule != "account-exists" or HEADER not in request.headers:
            raise
        # Whoever asks again shows that they know the password: a key alone opens nothing.
        known = await accounts.who_repeats(fields.get("email"), fields.get("password"), client_address(request))
        if known is None:
            raise
        if not await repeats.has_answer(request, known, told):
            raise
        return json_response(person_view(known), 201, {"idempotency-replayed": "true"})

    async def made() -> Response:
        return json_response(person_view(person), 201)

    return await repeats.once(request, person, told, made)


async def sign_in(request: Request) -> Response:
    fields = await read_object(request)
    person, secret = await accounts_of(request).sign_in(
        fields.get("email"), fields.get("password"), client_address(request), device_of(request)
    )
    response = json_response(person_view(person), 201)
    set_session(request, response, secret)
    return response


async def sign_out(request: Request) -> Response:
    """Signed out afterwards, also who was not signed in."""
    secret = session_secret(request)
    if secret:
        await accounts_of(request).sign_out(secret)
    response = Response(status_code=204)
    clear_session(request, response)
    return response


async def sessions(request: Request) -> Response:
    person = await signed_in(request)
    return list_response("sessions", await accounts_of(request).sessions(person, session_secret(request)))


async def end_session(request: Request) -> Response:
    await accounts_of(request).end_session(await signed_in(request), request.path_params["session_id"])
    return Response(status_code=204)


async def end_other_sessions(request: Request) -> Response:
    await accounts_of(request).end_other_sessions(await signed_in(request), session_secret(request))
    return Response(status_code=204)


async def new_token(request: Request) -> Response:
    """Shown this once."""
    fields = await read_object(request)
    tokens = _tokens(request)
    person = await tokens.who_asks(fields, client_address(request))

    async def made() -> Response:
        token = await tokens.add(person, fields)
        headers = {"cache-control": "no-store", "location": f"/api/v1/tokens/{token.id}"}
        return json_response(token, 201, headers)

    told = {name: value for name, value in fields.items() if name != "password"}
    return await _gateway(request).repeats.once(request, person, told, made, shown_once=lambda _: True)


async def begin_program_sign_in(request: Request) -> Response:
    """For programs: a secret to ask with, and a code that their user approves on a page."""
    begun = await _gateway(request).programs.begin(
        await read_object(request), client_address(request), site_url(request)
    )
    return json_response(begun, 201, {"cache-control": "no-store"})


async def program_token(request: Request) -> Response:
    """Once the user has approved it."""
    token = await _gateway(request).programs.token(await read_object(request))
    return json_response(token, 201, {"cache-control": "no-store"})


async def storage(request: Request) -> Response:
    return json_response(await _gateway(request).uploads.quotas.of(await signed_in(request)))


async def tokens(request: Request) -> Response:
    return list_response("tokens", await _tokens(request).all(await signed_in(request)))


async def revoke_token(request: Request) -> Response:
    await _tokens(request).revoke(await signed_in(request), request.path_params["token_id"])
    return Response(status_code=204)


async def identities(request: Request) -> Response:
    return list_response("identities", await _gateway(request).identities.of(await signed_in(request)))


async def me(request: Request) -> Response:
    return json_response(person_view(await signed_in(request)))


async def change_me(request: Request) -> Response:
    """What is not named stays as it is."""
    person, fields = await signed_in(request), await read_object(request)
    changed = await accounts_of(request).set_profile(
        person,
        fields.get("name", person.name),
        fields.get("mail_when_done", person.mail_when_done),
        person.language,
    )
    return json_response(person_view(changed))


async def change_password(request: Request) -> Response:
    person, fields = await signed_in(request), await read_object(request)
    await accounts_of(request).change_password(
        person, fields.get("password"), fields.get("new_password"), client_address(request), session_secret(request)
    )
    return Response(status_code=204)


def routes() -> list[BaseRoute]:
    return [
        Route("/api/v1/accounts", sign_up, methods=["POST"]),
        Route("/api/v1/sessions", sign_in, methods=["POST"]),
        Route("/api/v1/sessions", sessions, methods=["GET"]),
        Route("/api/v1/sessions/current", sign_out, methods=["DELETE"]),
        Route("/api/v1/sessions/others", end_other_sessions, methods=["DELETE"]),
        Route("/api/v1/sessions/{session_id:uuid}", end_session, methods=["DELETE"]),
        Route("/api/v1/tokens", new_token, methods=["POST"]),
        Route("/api/v1/tokens", tokens, methods=["GET"]),
        Route("/api/v1/tokens/{token_id:uuid}", revoke_token, methods=["DELETE"]),
        Route("/api/v1/sign-ins", begin_program_sign_in, methods=["POST"]),
        Route("/api/v1/sign-ins/token", program_token, methods=["POST"]),
        Route("/api/v1/identities", identities, methods=["GET"]),
        Route("/api/v1/me", me, methods=["GET"]),
        Route("/api/v1/me", change_me, methods=["PATCH"]),
        Route("/api/v1/me/storage", storage, methods=["GET"]),
        Route("/api/v1/me/password", change_password, methods=["PUT"]),
    ]
