"""/api/v1/webhooks: public events, sent to an address of yours."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.datasets import gateway_of
from gateway.http.answers import json_response, list_response, read_object
from gateway.people.identity import signed_in
from gateway.problems import invalid_field
from gateway.webhooks.webhooks import Webhooks


def _webhooks(request: Request) -> Webhooks:
    return gateway_of(request).webhooks


async def webhooks(request: Request) -> Response:
    return list_response("webhooks", await _webhooks(request).all(await signed_in(request)))


async def new_webhook(request: Request) -> Response:
    """The secret is shown this once."""
    person, fields = await signed_in(request), await read_object(request)

    async def made() -> Response:
        webhook = await _webhooks(request).add(person, fields)
        return json_response(webhook, 201, {"cache-control": "no-store", "location": f"/api/v1/webhooks/{webhook.id}"})

    return await gateway_of(request).repeats.once(request, person, fields, made, shown_once=lambda _: True)


async def remove(request: Request) -> Response:
    await _webhooks(request).remove(await signed_in(request), request.path_params["webhook_id"])
    return Response(status_code=204)


async def enable(request: Request) -> Response:
    return json_response(await _webhooks(request).enable(await signed_in(request), request.path_params["webhook_id"]))


async def deliveries(request: Request) -> Response:
    person, before = await signed_in(request), request.query_params.get("before")
    if before is not None and not (before.isascii() and before.isdecimal() and len(before) < 18):
        raise invalid_field("before", "This is not the id of a delivery.", "Give the id of the last one of a page.")
    found = await _webhooks(request).deliveries(
        person, request.path_params["webhook_id"], None if before is None else int(before)
    )
    return list_response("deliveries", found)


async def replay(request: Request) -> Response:
    person = await signed_in(request)
    await _webhooks(request).replay(person, request.path_params["webhook_id"], request.path_params["delivery_id"])
    return Response(status_code=202)


def routes() -> list[BaseRoute]:
    one = "/api/v1/webhooks/{webhook_id:uuid}"
    return [
        Route("/api/v1/webhooks", webhooks, methods=["GET"]),
        Route("/api/v1/webhooks", new_webhook, methods=["POST"]),
        Route(one, remove, methods=["DELETE"]),
        Route(f"{one}/enable", enable, methods=["POST"]),
        Route(f"{one}/deliveries", deliveries, methods=["GET"]),
        Route(f"{one}/deliveries/{{delivery_id:int}}/replay", replay, methods=["POST"]),
    ]
