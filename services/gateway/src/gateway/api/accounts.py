"""/api/v1/accounts, sessions, tokens, me."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.accounts import person_view
from gateway.answers import json_response, list_response, read_object
from gateway.identity import (
    accounts_of,
    clear_session,
    client_address,
    session_secret,
    set_session,
    signed_in,
)


async def sign_up(request: Request) -> Response:
    fields = await read_object(request)
    person = await accounts_of(request).sign_up(fields.get("email"), fields.get("name"), fields.get("password"))
    return json_response(person_view(person), 201)


async def sign_in(request: Request) -> Response:
    fields = await read_object(request)
    person, secret = await accounts_of(request).sign_in(
        fields.get("email"), fields.get("password"), client_address(request)
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


async def new_token(request: Request) -> Response:
    fields = await read_object(request)
    token = await accounts_of(request).new_token(
        fields.get("email"), fields.get("password"), fields.get("name"), client_address(request)
    )
    return json_response(token, 201, {"cache-control": "no-store"})


async def tokens(request: Request) -> Response:
    return list_response("tokens", await accounts_of(request).tokens(await signed_in(request)))


async def revoke_token(request: Request) -> Response:
    await accounts_of(request).revoke_token(await signed_in(request), request.path_params["token_id"])
    return Response(status_code=204)


async def me(request: Request) -> Response:
    return json_response(person_view(await signed_in(request)))


def routes() -> list[BaseRoute]:
    return [
        Route("/api/v1/accounts", sign_up, methods=["POST"]),
        Route("/api/v1/sessions", sign_in, methods=["POST"]),
        Route("/api/v1/sessions/current", sign_out, methods=["DELETE"]),
        Route("/api/v1/tokens", new_token, methods=["POST"]),
        Route("/api/v1/tokens", tokens, methods=["GET"]),
        Route("/api/v1/tokens/{token_id:uuid}", revoke_token, methods=["DELETE"]),
        Route("/api/v1/me", me, methods=["GET"]),
    ]
