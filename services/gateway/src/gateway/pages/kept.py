"""Pages that were rendered a moment ago: many people look at the same dataset.

A page is kept until the feed hears of any change of any dataset, and never longer than a few seconds, for what is
told of nowhere. Nothing is kept while the feed does not hear.

For who is signed in a page is kept with gaps where it speaks of them. Each request asks the database who has the
session and what was told of the dataset by then: an ended session is over at once, and who changed something sees
it changed. What not everybody may see is kept apart for each account.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import wraps
from time import monotonic
from typing import Any, Generic, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.domain import Person
from gateway.pages.languages import language_of
from gateway.pages.site import PAGE_HEADERS, Endpoint, OpenPage, site
from gateway.people.identity import reader, session_reader, session_secret
from gateway.service import Gateway

SECONDS = 2.0
PAGES = 512

T = TypeVar("T")
Contents = Callable[[Request, Person | None], Awaitable[dict[str, Any]]]
"""What a template is rendered with, for this reader."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    heard: int
    until: float
    page: T


class Shelf(Generic[T]):
    """The newest pages, each until something is heard or its time is over."""

    def __init__(self) -> None:
        self._pages: OrderedDict[Hashable, _Kept[T]] = OrderedDict()

    def get(self, key: Hashable, heard: int) -> T | None:
        found = self._pages.get(key)
        return found.page if found is not None and found.heard == heard and monotonic() < found.until else None

    def put(self, key: Hashable, heard: int, page: T) -> None:
        """`heard`: before the page was made."""
        self._pages[key] = _Kept(heard, monotonic() + SECONDS, page)
        self._pages.move_to_end(key)
        if len(self._pages) > PAGES:
            self._pages.popitem(last=False)


def kept_for_strangers(endpoint: Endpoint) -> Endpoint:
    """The endpoint's page, rendered anew when something has changed."""
    shelf: Shelf[bytes] = Shelf()

    @wraps(endpoint)
    async def shown(request: Request) -> Response:
        heard = _heard(request)
        if heard is None or session_secret(request) is not None:
            return await endpoint(request)
        key = _address(request)
        found = shelf.get(key, heard)
        if found is not None:
            return HTMLResponse(found, headers=PAGE_HEADERS)
        response = await endpoint(request)
        if response.status_code == 200:
            shelf.put(key, heard, bytes(response.body))
        return response

    return shown


def kept_for_members(template: str, contents: Contents) -> Endpoint:
    """The page of a dataset. A template that says more of its reader than `base.html` does fails."""
    shelf: Shelf[OpenPage] = Shelf()

    async def shown(request: Request) -> Response:
        heard, secret, dataset_id = _heard(request), session_secret(request), _dataset_of(request)
        person = mark = None
        if heard is not None and secret is not None and dataset_id is not None:
            person, mark = await session_reader(request, secret, dataset_id)
        if heard is None or person is None or mark is None:
            person = await reader(request)
            return site().render(request, template, person, **await contents(request, person))
        # Marks of two accounts differ unless both may see just what everybody may.
        key = (mark, _address(request))
        found = shelf.get(key, heard)
        if found is None:
            found = site().open_page(request, template, **await contents(request, person))
            shelf.put(key, heard, found)
        account = site().account(language_of(request), person)
        return HTMLResponse(found.of(account), headers=PAGE_HEADERS)

    return shown


def _heard(request: Request) -> int | None:
    """None: this request's page is made for it alone."""
    gateway: Gateway = request.app.state.gateway
    alone = "authorization" in request.headers or "lang" in request.query_params
    return None if alone else gateway.feed.heard


def _address(request: Request) -> Hashable:
    # The public address may be what the request says: pages show it.
    return str(request.url), language_of(request), request.cookies.get("theme", ""), request.headers.get("host", "")


def _dataset_of(request: Request) -> UUID | None:
    try:
        return UUID(request.path_params["dataset_id"])
    except ValueError:
        return None
