"""/api/v1/search: datasets by words, formulas, elements and filters."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.datasets import gateway_of
from gateway.http.answers import json_response
from gateway.people.identity import reader
from gateway.problems import invalid_field
from gateway.search.search import read_criteria


async def search(request: Request) -> Response:
    """What the reader may see: `?q=&element=&functional=&licence=&stage=&coverage=&frames=&sort=&literal=&from=`."""
    asked = read_criteria(request.query_params.multi_items())
    if asked.ignored:
        name = asked.ignored[0]
        raise invalid_field(name, "There is no such value.", "See /api/v1/openapi.json for the values there are.")
    place = request.query_params.get("from")
    return json_response(await gateway_of(request).catalogue.page(await reader(request), asked.criteria, place))


def routes() -> list[BaseRoute]:
    return [Route("/api/v1/search", search, methods=["GET"])]
