"""Pages that were rendered a moment ago, for strangers: many of them look at the same dataset.

A page is kept until the feed hears of any change of any dataset, and never longer than a few seconds, for what is
told of nowhere. Nothing is kept for who is signed in, and nothing while the feed does not hear.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import wraps
from time import monotonic

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.identity import session_secret
from gateway.pages.languages import language_of
from gateway.pages.site import Endpoint
from gateway.service import Gateway

SECONDS = 2.0
PAGES = 512


@dataclass(frozen=True, slots=True)
class _Kept:
    heard: int
    until: float
    body: bytes
    headers: dict[str, str]


def kept_for_strangers(endpoint: Endpoint) -> Endpoint:
    """The endpoint's page, rendered anew when something has changed."""
    pages: OrderedDict[tuple[str, str, str, str], _Kept] = OrderedDict()

    @wraps(endpoint)
    async def shown(request: Request) -> Response:
        gateway: Gateway = request.app.state.gateway
        heard = gateway.feed.heard
        known = session_secret(request) is not None or "authorization" in request.headers
        if heard is None or known or "lang" in request.query_params:
            return await endpoint(request)
        # The public address may be what the request says: pages show it.
        key = (
            str(request.url),
            language_of(request),
            request.cookies.get("theme", ""),
            request.headers.get("host", ""),
        )
        found = pages.get(key)
        if found is not None and found.heard == heard and monotonic() < found.until:
            return HTMLResponse(found.body, headers=found.headers)
        response = await endpoint(request)
        if response.status_code == 200:
            headers = {name: response.headers[name] for name in ("cache-control", "vary")}
            pages[key] = _Kept(heard, monotonic() + SECONDS, bytes(response.body), headers)
            pages.move_to_end(key)
            if len(pages) > PAGES:
                pages.popitem(last=False)
        return response

    return shown
