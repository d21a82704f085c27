"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html): the reader's half."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; `id` is the last one seen, '' when the stream gives none."""

    event: str
    data: str
    id: str


def parse(lines: Iterable[str], last_id: str = "") -> Iterator[ServerEvent]:
    """Events of a stream's lines (without line ends). An event that the stream's end cuts off is dropped."""
    kind, data, identity = "", list[str](), last_id
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(kind or "message", "\n".join(data), identity)
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            identity = value
