"""/api/v1/models and /api/v1/standard."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.answers import download, json_response, list_response
from gateway.api.datasets import gateway_of


async def models(request: Request) -> Response:
    return list_response("models", await gateway_of(request).models.all())


async def model(request: Request) -> Response:
    return json_response(await gateway_of(request).models.get(request.path_params["version"]))


async def file(request: Request) -> Response:
    gateway = gateway_of(request)
    found = await gateway.models.file(request.path_params["version"], request.path_params["name"])
    return await download(request, gateway.blobs, found)


async def standard(request: Request) -> Response:
    return json_response(await gateway_of(request).standards.history())


def routes() -> list[BaseRoute]:
    return [
        Route("/api/v1/models", models, methods=["GET"]),
        Route("/api/v1/models/{version}", model, methods=["GET"]),
        Route("/api/v1/models/{version}/files/{name:path}", file, methods=["GET"]),
        Route("/api/v1/standard", standard, methods=["GET"]),
    ]
