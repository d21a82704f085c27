"""Options that several commands share, and the client they lead to."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from potluck.cli.output import err
from potluck.client import Client
from potluck.errors import Exit, PotluckError

_IDENTITY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION_PAGE = re.compile(r"(?P<before>.*?)(?:/api/v1)?/models/(?P<version>[^/]+)/?")

Server = Annotated[
    str | None, typer.Option("--server", help="Address of the platform, e.g. https://potluck.example.org.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: JSON on standard output, nothing else.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Stay and show each stage as it happens.")]
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.", file_okay=False)]


Agree = Annotated[bool, typer.Option("--agree", help="I agree: I may share this data under this licence.")]


def connect(server: str | None, *, patience_seconds: float = 10.0) -> Client:
    """Who waits at a prompt wants to hear soon that nobody answers; an upload is worth more patience."""
    return Client(server, patience_seconds=patience_seconds, sleep=_pausing())


def _pausing() -> Callable[[float], None]:
    """Pauses before another try; the first is told to whoever sits there and would wonder."""
    said = False

    def pause(seconds: float) -> None:
        nonlocal said
        if not said and err.is_terminal:
            err.print("[dim]The server does not answer yet; trying again …[/]")
        said = True
        time.sleep(seconds)

    return pause


def where(dataset: str, server: str | None) -> tuple[str, str | None]:
    """The dataset's id, and the server: of a page's address its own, unless another was given."""
    if "/" not in dataset:
        return dataset, server
    parts = urlsplit(dataset)
    before, _, after = parts.path.rpartition("/datasets/")
    identity = after.partition("/")[0]
    if not identity:
        raise PotluckError(
            f"{dataset!r} is not the address of a dataset",
            where="DATASET",
            remedy="Give its id, or the address of its page: https://…/datasets/ID.",
        )
    own = f"{parts.scheme}://{parts.netloc}{before.removesuffix('/api/v1')}" if parts.netloc else None
    return identity, server or own


def dataset_or_version(what: str, server: str | None) -> tuple[bool, str, str | None]:
    """Whether it names a dataset, its id or the version's number or alias, and the server, as `where` tells it."""
    if version := _VERSION_PAGE.fullmatch(urlsplit(what).path):
        parts = urlsplit(what)
        own = f"{parts.scheme}://{parts.netloc}{version['before']}" if parts.netloc else None
        return False, version["version"], server or own
    if "/" in what or _IDENTITY.fullmatch(what):
        return True, *where(what, server)
    return False, what, server


@contextmanager
def resumable(what: str, how: str = "") -> Iterator[None]:
    """Ctrl-C ends the command with 130 and says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        again = how or "Nothing is lost: the same command again goes on where this one stopped."
        err.print(f"\n{what} stopped. {again}")
        raise typer.Exit(Exit.STOPPED) from None
