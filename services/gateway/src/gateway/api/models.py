"""/api/v1/models and /api/v1/standard."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.datasets import citation_format, citation_text, exported, gateway_of
from gateway.exports import crates, datacite
from gateway.exports.citation import CitedModel
from gateway.http.answers import download, json_response, list_response, read_object, site_url
from gateway.models.branches import choose
from gateway.people.identity import client_address, reader
from gateway.problems import not_found
from gateway.search.search import read_criteria


async def models(request: Request) -> Response:
    return list_response("models", await gateway_of(request).models.all())


async def model(request: Request) -> Response:
    return json_response(await gateway_of(request).models.get(request.path_params["version"]))


async def file(request: Request) -> Response:
    gateway = gateway_of(request)
    found = await gateway.models.file(request.path_params["version"], request.path_params["name"])
    return await download(request, gateway.blobs, found)


async def branches(request: Request) -> Response:
    """Which branch for which elements: `?element=Si&element=C`."""
    gateway = gateway_of(request)
    view = await gateway.models.get(request.path_params["version"])
    manifest = await gateway.models.manifest(view)
    if manifest is None:
        raise not_found("list of branches", "It is there again in a moment, or the version has none.")
    chosen = read_criteria(request.query_params.multi_items()).criteria.elements
    return json_response(choose(manifest, chosen, view.withdrawn_branches))


async def citation(request: Request) -> Response:
    """`?format=bibtex`, `cff` or `datacite`."""
    gateway, shape = gateway_of(request), citation_format(request)
    view = await gateway.models.get(request.path_params["version"])
    if shape == "datacite":
        found = datacite.of_model(view, site_url(request), gateway.settings.doi_prefix)
        return exported(found, "datacite.json")
    return citation_text(shape, CitedModel.of(view), site_url(request))


async def crate(request: Request) -> Response:
    """As RO-Crate metadata."""
    view = await gateway_of(request).models.get(request.path_params["version"])
    return exported(crates.of_model(view, site_url(request)), crates.FILE_NAME, "application/ld+json")


async def predict(request: Request) -> Response:
    """Of a structure of one's own; nobody needs an account for it."""
    person, fields = await reader(request), await read_object(request)
    version = request.path_params["version"]
    view = await gateway_of(request).predictions.ask(person, client_address(request), version, fields)
    return json_response(view, 202, {"location": view.url})


async def prediction(request: Request) -> Response:
    return json_response(await gateway_of(request).predictions.get(request.path_params["prediction_id"]))


async def coverage(request: Request) -> Response:
    """What the version knows of the periodic table, and which data would help it."""
    gateway = gateway_of(request)
    view = await gateway.models.get(request.path_params["version"])
    found = await gateway.coverage.of(view.version)
    if found is None:
        raise not_found("model")
    return json_response(found)


async def standard(request: Request) -> Response:
    return json_response(await gateway_of(request).standards.history())


def routes() -> list[BaseRoute]:
    return [
        Route("/api/v1/models", models, methods=["GET"]),
        Route("/api/v1/models/{version}", model, methods=["GET"]),
        Route("/api/v1/models/{version}/branches", branches, methods=["GET"]),
        Route("/api/v1/models/{version}/citation", citation, methods=["GET"]),
        Route("/api/v1/models/{version}/ro-crate", crate, methods=["GET"]),
        Route("/api/v1/models/{version}/predictions", predict, methods=["POST"]),
        Route("/api/v1/predictions/{prediction_id:uuid}", prediction, methods=["GET"]),
        Route("/api/v1/models/{version}/coverage", coverage, methods=["GET"]),
        Route("/api/v1/models/{version}/files/{name:path}", file, methods=["GET"]),
        Route("/api/v1/standard", standard, methods=["GET"]),
    ]
