"""What programs may speak: the REST API, events, gRPC. All of it is generated from the code; no script is needed."""

from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.contracts_described import Member, events, json_kind, members, services
from gateway.pages.site import page, site
from gateway.people.identity import reader


async def rest(request: Request) -> Response:
    document: dict[str, Any] = request.app.state.openapi.document()
    by_tag: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            by_tag[operation["tags"][0]].append(
                operation | {"method": method.upper(), "path": path, "body": _body(operation)}
            )
    schemas: dict[str, tuple[str, tuple[Member, ...]]] = {
        name: (schema.get("description", ""), members(schema))
        for name, schema in sorted(document["components"]["schemas"].items())
    }
    return site().render(
        request,
        "api.html",
        await reader(request),
        tags=dict(sorted(by_tag.items())),
        schemas=schemas,
        answer_of=_answer,
        kind_of=lambda parameter: json_kind(parameter["schema"]),
    )


def _body(operation: dict[str, Any]) -> str | None:
    if "requestBody" not in operation:
        return None
    return json_kind(operation["requestBody"]["content"]["application/json"]["schema"])


def _answer(response: dict[str, Any]) -> str | None:
    """The name of its schema, or its media type."""
    for media, content in response.get("content", {}).items():
        schema = content.get("schema")
        if schema is None:
            return str(media)
        if "properties" in schema:
            (name, listed), *_ = schema["properties"].items()
            return f"{name}: {json_kind(listed)}"
        return json_kind(schema)
    return None


async def event_page(request: Request) -> Response:
    return site().render(request, "api_events.html", await reader(request), events=events())


async def grpc_page(request: Request) -> Response:
    return site().render(request, "api_grpc.html", await reader(request), services=services())


def routes() -> list[BaseRoute]:
    return [
        Route("/api", page(rest)),
        Route("/api/events", page(event_page)),
        Route("/api/grpc", page(grpc_page)),
    ]
