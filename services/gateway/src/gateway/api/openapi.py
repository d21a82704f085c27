"""OpenAPI 3.1, generated from the routes and from the models that they answer with."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from contracts.base import Frozen
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.api.bodies import ProblemDetails
from gateway.api.described import OPERATIONS, Described, Parameter

PATH = "/api/v1/openapi.json"
PREFIX = "/api/v1/"
REFERENCE = "#/components/schemas/{model}"
PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="ProblemDetails")}}}}
_IN_PATH = re.compile(r"\{(\w+)(?::(\w+))?\}")
_KINDS = {"uuid": {"type": "string", "format": "uuid"}, "int": {"type": "integer"}}


def operations(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, Route]]:
    """(method, path without converters, route) of the API. What answers HEAD beside GET is not told apart."""
    for route in routes:
        if isinstance(route, Route) and route.path.startswith(PREFIX):
            methods = route.methods or set()
            for method in sorted(methods - ({"HEAD"} if "GET" in methods else set())):
                yield method, _IN_PATH.sub(r"{\1}", route.path), route


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The whole description. Raises KeyError for a route that nobody has described."""
    paths: dict[str, dict[str, Any]] = {}
    models: set[type[Frozen]] = {ProblemDetails}
    for method, path, route in operations(routes):
        said = OPERATIONS[method, path]
        models.update(model for model in (said.answer, said.body) if model is not None)
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, route, said)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in sorted(models, key=lambda one: one.__name__)], ref_template=REFERENCE
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Potluck",
            "version": "1",
            "description": "Everything that the pages do. Errors are application/problem+json with what to do about "
            "them. Units are in the names of the members.",
            "license": {"name": "LGPL-3.0-or-later", "identifier": "LGPL-3.0-or-later"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "potluck-session"},
            },
        },
    }


def _operation(method: str, path: str, route: Route, said: Described) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": said.summary,
        "operationId": f"{method.lower()}{re.sub(r'[^A-Za-z0-9]+', '-', path.removeprefix('/api/v1'))}".rstrip("-"),
        "tags": [path.removeprefix(PREFIX).partition("/")[0]],
        "responses": {str(said.status): _answer(said)},
    }
    parameters = [_in_path(name, kind) for name, kind in _IN_PATH.findall(route.path)]
    parameters += [_parameter(one) for one in said.parameters]
    if parameters:
        made["parameters"] = parameters
    if said.body is not None:
        schema = {"$ref": REFERENCE.format(model=said.body.__name__)}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if said.signed_in:
        made["security"] = [{"token": []}, {"session": []}]
    for status in (*((401,) if said.signed_in else ()), *said.errors):
        made["responses"][str(status)] = {"description": _WORDS.get(status, "an error"), **PROBLEM}
    made["responses"]["default"] = {"description": "an error", **PROBLEM}
    return made


_WORDS = {
    401: "sign in first",
    403: "not yours to do",
    404: "not here, or not yours to see",
    409: "it is so already",
    410: "it is gone",
    413: "too large",
    416: "beyond the end of the file",
    422: "a field is wrong: which, and how",
    428: "not yet: Retry-After says when again",
    429: "too often: Retry-After says when again",
    460: "the checksum does not match",
    503: "not ready: Retry-After says when again",
}


def _answer(said: Described) -> dict[str, Any]:
    if said.answer is None and said.media is None:
        return {"description": "done"}
    if said.answer is None:
        return {"description": said.summary, "content": {str(said.media): {}}}
    schema: dict[str, Any] = {"$ref": REFERENCE.format(model=said.answer.__name__)}
    if said.listed is not None:
        items = {"type": "array", "items": schema}
        schema = {"type": "object", "properties": {said.listed: items}, "required": [said.listed]}
    return {"description": said.summary, "content": {"application/json": {"schema": schema}}}


def _in_path(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _KINDS.get(kind, {"type": "string"})}


def _parameter(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"} | ({"enum": list(one.values)} if one.values else {})
    if one.repeated:
        schema = {"type": "array", "items": schema}
    return {
        "name": one.name,
        "in": "header" if one.header else "query",
        "description": one.about,
        "schema": schema,
    }


class OpenApi:
    """Answers with the description of these routes and of its own."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = [*routes, *self.routes()]

    @cache  # noqa: B019  one for the life of the process
    def document(self) -> dict[str, Any]:
        return document(self._routes)

    async def answer(self, _request: Request) -> Response:
        """This description."""
        return JSONResponse(self.document(), headers={"cache-control": "public, max-age=300"})

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, self.answer, methods=["GET"])]
