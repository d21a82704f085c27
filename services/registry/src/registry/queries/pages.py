"""Pages of lists: how long they are, and the tokens with which a caller goes on.

A token says of which list it is, of which version, and after what it goes on; callers do not look into it.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from registry.domain.refusals import InvalidField

DEFAULT_PAGE = 50
LARGEST_PAGE = 200
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins. `asked` is what the list is of ('latest'), `version` what that was on the first page."""

    method: str
    asked: str = ""
    version: str = ""
    after: str = ""

    def token(self) -> str:
        text = json.dumps([self.method, self.asked, self.version, self.after], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(token: str, method: str, asked: str = "") -> Place | None:
    """None: the first page. Raises InvalidField for a token that was not given for this list."""
    if not token:
        return None
    try:
        told = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        told = None
    if not (isinstance(told, list) and len(told) == 4 and all(isinstance(one, str) for one in told)):
        raise InvalidField("page_token", f"page_token {token[:100]!r} is not one that this service gave")
    place = Place(*told)
    if (place.method, place.asked) != (method, asked):
        raise InvalidField(
            "page_token", "page_token was given for another list; send it with the request that it came from"
        )
    return place


def numbered(method: str, number: int, asked: str = "") -> str:
    """The token of a list of numbered rows, newest first, that goes on below this number."""
    return Place(method, asked, after=str(number)).token()


def before_of(token: str, method: str, asked: str = "") -> int | None:
    """The number that `numbered` was given; None: the first page. Raises InvalidField."""
    place = place_of(token, method, asked)
    if place is None:
        return None
    if not (place.after.isascii() and place.after.isdigit() and len(place.after) < 19):
        raise InvalidField("page_token", f"page_token {token[:100]!r} is not one that this service gave")
    return int(place.after)


def size_of(asked: int, default: int = DEFAULT_PAGE) -> int:
    return min(asked or default, LARGEST_PAGE)


def page(items: Sequence[Item], size: int, start: Place, name_of: Callable[[Item], str]) -> tuple[Sequence[Item], str]:
    """The first `size` of the items that come after `start.after`, and the token of the page after them."""
    begin = 0
    if start.after:
        begin = next((place + 1 for place, item in enumerate(items) if name_of(item) == start.after), len(items))
    shown = items[begin : begin + size]
    if begin + size >= len(items):
        return shown, ""
    return shown, Place(start.method, start.asked, start.version, name_of(shown[-1])).token()
