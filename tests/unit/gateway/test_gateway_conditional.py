"""Who has an answer already is told so, and gets nothing twice."""

from collections.abc import AsyncIterator

import httpx
import pytest
from gateway.http.conditional import Conditional
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route


async def data(request: Request) -> Response:
    return JSONResponse({"asked": request.query_params.get("q", "")}, headers={"vary": "Cookie", "x-other": "1"})


async def page(_request: Request) -> Response:
    return HTMLResponse("<p>page</p>")


async def secret(_request: Request) -> Response:
    return JSONResponse({"token": "x"}, headers={"cache-control": "no-store"})


async def missing(_request: Request) -> Response:
    return JSONResponse({}, 404)


async def stream(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return StreamingResponse(pieces(), media_type="application/json")


@pytest.fixture
def client() -> httpx.AsyncClient:
    names = {"/data": data, "/page": page, "/secret": secret, "/missing": missing, "/stream": stream}
    routes = [Route(path, endpoint, methods=["GET", "POST"]) for path, endpoint in names.items()]
    app = Starlette(routes=routes, middleware=[Middleware(Conditional)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("path", ["/data", "/page"])
async def test_known_bytes_are_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]
    again = await client.get(path, headers={"if-none-match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert "content-length" not in again.headers
    assert again.headers.get("vary") == first.headers.get("vary")
    assert (await client.get(path, headers={"if-none-match": '"other"'})).content == first.content


async def test_the_tag_follows_the_bytes(client: httpx.AsyncClient) -> None:
    one, other = [(await client.get(f"/data?q={q}")).headers["etag"] for q in "ab"]
    assert one != other
    assert (await client.get("/data?q=b", headers={"if-none-match": one})).status_code == 200


@pytest.mark.parametrize("path", ["/secret", "/missing", "/stream"])
async def test_what_has_no_tag(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"if-none-match": "*"})
    assert "etag" not in answer.headers
    assert answer.status_code in (200, 404)
    assert answer.content


async def test_writes_are_answered_in_full(client: httpx.AsyncClient) -> None:
    answer = await client.post("/data", headers={"if-none-match": "*"})
    assert (answer.status_code, "etag" in answer.headers) == (200, False)
